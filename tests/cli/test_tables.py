"""Tables for terminals of every width: they fit, and no number is ever folded."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from sqlalchemy import text

from bloxdb import Database, queries, space
from bloxdb.cli.tables import as_text
from bloxdb.db.schema import RUN_MEASURES
from tests.cli.helpers import bloxdb, on_terminal


@pytest.fixture(autouse=True)
def no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")


def table(rows: list[dict[str, Any]], width: int) -> str:
    return as_text(list(rows[0]), [list(row.values()) for row in rows], width)


def numbers_of(rows: list[dict[str, Any]]) -> set[float]:
    """Every number of rows."""
    return {value for row in rows for value in row.values() if isinstance(value, int | float)}


def numbers_in(shown: str) -> set[float]:
    """Every number that a table shows."""
    return {float(word.replace(",", "")) for word in re.findall(r"(?<!\S)[\d.,]+\b", shown)}


@pytest.mark.parametrize("width", [200, 120, 100, 80, 72, 60, 50, 40])
@pytest.mark.parametrize("by", RUN_MEASURES)
def test_the_best_fit_every_width_and_numbers_stay_whole(by: str, width: int, tiny_db: Database) -> None:
    rows = queries.top(10, tiny_db, by=by)
    shown = table(rows, width)
    assert max(map(cell_len, shown.splitlines())) <= width
    assert numbers_of(rows) <= numbers_in(shown)
    for row in rows:
        assert row["hash"][:8] in shown


def test_wide_terminals_have_names_of_blocks_and_narrow_ones_their_numbers(tiny_db: Database) -> None:
    (row,) = queries.top(1, tiny_db)
    kinds = space.blocks_of(row["arch_id"])
    names = [f"{kind.scheme}({kind.op1}{'' if kind.op2 is None else ',' + kind.op2})" for kind in kinds]
    wide, narrow = table([row], 200), table([row], 80)
    assert " ".join(names) in wide
    assert row["hash"] in wide
    assert " ".join(str(kind.index) for kind in kinds) in narrow
    assert row["hash"] not in narrow
    assert row["vec"] not in wide + narrow


def test_what_all_rows_share_stands_above_a_narrow_table(tiny_db: Database) -> None:
    rows = queries.top(3, tiny_db)
    first, heading, *rest = table(rows, 80).splitlines()
    assert first == "recipe cifar100-10, seed 3"
    assert heading.split() == [
        *("arch_id", "hash", "blocks", "flops", "params", "val_top1", "test_top1", "train_time_s")
    ]
    assert len(rest) == 3
    rows[1]["seed"] = 4
    assert table(rows, 80).startswith("recipe cifar100-10\n")


def test_a_field_a_line_has_every_field_of_every_row(tiny_db: Database) -> None:
    rows = queries.top(2, tiny_db)
    one, two = table(rows, 40).split("\n\n")
    for part, row in zip((one, two), rows, strict=True):
        shown = dict(line.split(None, 1) for line in part.splitlines())
        assert list(shown) == ["blocks" if name == "vec" else name for name in row]
        assert float(shown["test_top1"]) == row["test_top1"]


VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63),
    st.floats(),
    st.text(max_size=30),
    st.binary(max_size=5),
)
NAMES = st.one_of(
    st.sampled_from(["hash", "vec", "recipe", "seed", "flops", "test_top1"]), st.text(max_size=12)
)


@given(st.data())
def test_anything_is_shown_without_control_characters_and_numbers_whole(data: st.DataObject) -> None:
    columns = data.draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    rows = data.draw(st.lists(st.tuples(*[VALUES] * len(columns)), min_size=1, max_size=4))
    width = data.draw(st.integers(1, 120))
    shown = as_text(columns, rows, width)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", shown)
    for row in rows:
        for name, value in zip(columns, row, strict=True):
            if isinstance(value, float) and len(str(value)) > 12:
                assert f"{value:.4g}" in shown or any(f"{value:.{n}f}" in shown for n in range(4, 12))
            elif isinstance(value, int | float):
                assert (f"{value:,}" if name == "flops" and isinstance(value, int) else str(value)) in shown


def test_a_vector_that_is_none_is_shown_as_it_is() -> None:
    assert "nonsense" in table([{"vec": "nonsense", "n": 1}], 80)
    assert "[1,2]" in table([{"vec": "[1,2]", "n": 1}], 80)


def test_long_texts_are_folded_between_words_where_a_field_has_its_line() -> None:
    message = "the loss was not finite " * 8
    lines = table([{"arch_id": 1, "message": message}], 40).splitlines()
    assert max(map(len, lines)) <= 40
    assert " ".join(" ".join(lines).split()) == f"arch_id 1 message {message.strip()}"


@pytest.mark.parametrize("columns", [80, 40])
def test_commands_keep_to_the_width_of_the_terminal(columns: int, tiny_file: Path) -> None:
    for command in (["top"], ["pareto", "--x", "params"], ["sql", "SELECT * FROM leaderboard LIMIT 3"]):
        shown = on_terminal(*command, "--db", tiny_file, COLUMNS=str(columns), TERM="dumb")
        assert max(map(cell_len, shown.splitlines())) <= columns


@pytest.mark.parametrize("columns", [100, 63, 62, 50, 40, 34])
@pytest.mark.parametrize("command", ["show", "status"])
def test_lines_outside_tables_are_folded_between_words(command: str, columns: int, tiny_db: Database) -> None:
    with tiny_db.transaction() as session:
        session.execute(
            text("UPDATE runs SET status = 'failed', message = 'it was too hot in there ' WHERE id < 4")
        )
        session.execute(text("DELETE FROM epochs WHERE run_id % 3 = 1"))
    arguments = [command, "--db", str(tiny_db.path), *(["11179"] if command == "show" else [])]
    piped = bloxdb(*arguments).stdout
    shown = on_terminal(*arguments, COLUMNS=str(columns), TERM="dumb")
    for line in shown.splitlines():
        assert cell_len(line) <= columns or " " not in line.strip()  # a path that has no room is one word
    words = set(shown.split())
    for line in piped.splitlines():
        if re.match(r"architecture|\[\[|  stage|[\d,]+ FLOPs|gaps|\d+ [a-z]+,", line):
            assert set(line.split()) <= words, line


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (76.27000000000001, "76.2700"),
        (0.565685424949236, "0.5657"),
        (-7437.123456789012, "-7437.1235"),
        (1.23456789e-07, "1.235e-07"),
        (1.0 / 3e20, "3.333e-21"),
        (8.432324, "8.432324"),
        (72.372, "72.372"),
        (7437.5, "7437.5"),
        (123456.7890123, "123456.7890"),
    ],
)
def test_long_fractions_are_shortened_and_measured_values_never(value: float, shown: str) -> None:
    assert as_text(["x"], [[value]], 80).splitlines()[-1] == shown


def test_a_column_may_have_lists() -> None:
    text = as_text(["seeds", "recipe"], [[[1, 2], "a"], [[1, 2], "a"]], 60)
    assert "[1, 2]" in text


@pytest.mark.parametrize(
    ("column", "shown"),
    [
        ([76.27000000000001, 75.89, 5.0, None, 0.0], ["76.2700", "75.8900", "5.0000", "-", "0.0000"]),
        ([72.3, 72.38, 8.0], ["72.30", "72.38", "8.00"]),
        ([0.565685424949236, 8.432324], ["0.565685", "8.432324"]),
        ([12345678.9, 0.00012345678], ["12345678.9", "0.0001235"]),
        ([1e-07, 1e300, float("inf"), 2.5], ["1e-07", "1e+300", "inf", "2.5"]),
        ([1, 2.25, 2.5], ["1", "2.25", "2.50"]),
        ([True, "x", 1.5], ["True", "x", "1.5"]),
    ],
)
@pytest.mark.parametrize("width", [80, 1])
def test_fractions_of_a_column_have_one_number_of_decimals(
    width: int, column: list[Any], shown: list[str]
) -> None:
    lines = as_text(["a", "b" * 20], [[value, "x" * 9] for value in column], width).splitlines()
    places = lines[1:] if width == 80 else [line.split(None, 1)[1] for line in lines if line.startswith("a ")]
    assert [line.split()[0] for line in places] == shown


@pytest.mark.parametrize(
    ("seeds", "above"),
    [(2, "over 2 seeds"), (1, "over 1 seed"), ([1, 2], "seeds [1, 2]")],
)
def test_a_number_of_seeds_above_a_table_is_no_seed(seeds: Any, above: str) -> None:
    row = {"recipe": "r" * 20, "seeds": seeds, "mean": "m" * 30}
    assert table([row, row], 50).splitlines()[0] == f"recipe {'r' * 20}, {above}"


@pytest.mark.parametrize("columns", [80, 40])
def test_averages_are_aligned_on_a_terminal_and_exact_in_json(columns: int, tiny_db: Database) -> None:
    with tiny_db.transaction() as session:
        copied = (
            "arch_id, recipe_id, 4, status, flops, params, test_top1 + 0.1, test_top5, test_loss, val_top1"
        )
        session.execute(
            text(
                "INSERT INTO runs (arch_id, recipe_id, seed, status, flops, params, test_top1, test_top5, "
                f"test_loss, val_top1) SELECT {copied} FROM runs WHERE id % 2"
            )
        )
    path = str(tiny_db.path)
    rows = json.loads(bloxdb("top", "12", "--seed", "mean", "--json", "--db", path).stdout)
    for row in rows:
        row["vec"] = space.vec_text(row["vec"])
    assert rows == queries.top(12, tiny_db, seeds="mean")
    shown = as_text(list(rows[0]), [list(row.values()) for row in rows], columns)
    terminal = on_terminal("top", "12", "--seed", "mean", "--db", path, COLUMNS=str(columns), TERM="dumb")
    assert shown in terminal
    for name in ("test_top1", "val_top1"):
        texts = [f"{row[name]}" for row in rows]
        assert any(len(one) > 12 for one in texts) == (name == "test_top1")
