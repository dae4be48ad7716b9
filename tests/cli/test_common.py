"""What all commands print rows with."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from contextlib import redirect_stdout
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bloxdb.cli import main
from bloxdb.cli.common import show_json, show_rows
from tests.cli.helpers import bloxdb, on_terminal


def test_a_terminal_gets_a_table(tiny_file: Path) -> None:
    shown = on_terminal("top", 2, "--db", tiny_file, COLUMNS="200")
    assert "\t" not in shown
    assert shown.startswith("\x1b[1march_id")
    assert re.search(r"\d{3},\d{3},\d{3}", shown)


ROWS = [{"a": 1, "b": None, "c": "x,y"}, {"a": 2.5, "b": "z", "c": ""}]


@pytest.mark.parametrize(
    ("options", "rows", "out"),
    [
        ({}, ROWS, "a\tb\tc\n1\t\tx,y\n2.5\tz\t\n"),
        ({"as_csv": True}, ROWS, 'a,b,c\n1,,"x,y"\n2.5,z,\n'),
        ({"as_csv": True}, [], ""),
        ({"as_json": True}, [], "[]\n"),
        ({}, [], ""),
    ],
)
def test_rows_are_printed_as_it_is_asked_for(
    capsys: pytest.CaptureFixture[str], options: dict[str, bool], rows: list[dict[str, object]], out: str
) -> None:
    show_rows(rows, **options)
    printed = capsys.readouterr()
    assert printed.out == out
    assert printed.err == ("" if rows or options else "(no rows)\n")


def test_json_keeps_numbers_and_none_and_writes_dates_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows([*ROWS, {"at": datetime(2026, 1, 2, 3)}], as_json=True)
    assert json.loads(capsys.readouterr().out) == [*ROWS, {"at": "2026-01-02 03:00:00"}]


NUMBERS = {
    "inf": math.inf,
    "ninf": -math.inf,
    "nan": math.nan,
    "half": 0.5,
    "tenth": Decimal("0.1"),
    "all": Decimal("NaN"),
}


def test_json_has_no_infinity_and_bytes_are_hex(capsys: pytest.CaptureFixture[str]) -> None:
    show_json([{**NUMBERS, "blob": b"\x00\xff", "in": {"list": (1, math.nan, [math.inf])}}])
    expected = {"inf": None, "ninf": None, "nan": None, "half": 0.5, "tenth": 0.1, "all": None}
    assert json.loads(capsys.readouterr().out, parse_constant=refused) == [
        {**expected, "blob": "00ff", "in": {"list": [1, None, [None]]}}
    ]


def refused(constant: str) -> Any:
    raise AssertionError(f"{constant} is not JSON")


VEC = "[[[2],[2,1,0,1]],[[0],[1,1,0,1]],[[1],[0,1,0,0]]]"


def test_a_vector_is_lists_in_json_under_each_of_its_names(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows(
        [{"vec": VEC, "vec_1": VEC, "vec_2": None, "text": VEC}, {"vec": "[", "vec_1": "1"}], as_json=True
    )
    first, second = json.loads(capsys.readouterr().out)
    assert first == {"vec": json.loads(VEC), "vec_1": json.loads(VEC), "vec_2": None, "text": VEC}
    assert second == {"vec": "[", "vec_1": "1"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.slow
@given(JSON)
def test_whatever_is_shown_as_json_is_json_without_control_characters(value: Any) -> None:
    out = io.StringIO()
    with redirect_stdout(out):
        show_json(value)
    json.loads(out.getvalue(), parse_constant=refused)
    assert re.fullmatch("[\n -~]*", out.getvalue())


@pytest.mark.parametrize(
    ("options", "out"),
    [
        ({}, ""),
        ({"as_csv": True}, "id,id_1\n"),
        ({"as_json": True}, "[]\n"),
    ],
)
def test_no_rows_have_a_header_in_csv(
    capsys: pytest.CaptureFixture[str], options: dict[str, bool], out: str
) -> None:
    show_rows([], ["id", "id_1"], **options)
    assert capsys.readouterr().out == out


def test_csv_in_a_file_has_texts_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"a\nb": 'x"\x1b[1m\n\ty', "blob": b"\x00\xff", "none": None}]
    show_rows(rows, as_csv=True)
    assert list(csv.reader(io.StringIO(capsys.readouterr().out, newline=""))) == [
        ["a\nb", "blob", "none"],
        ['x"\x1b[1m\n\ty', "00ff", ""],
    ]


def test_lines_of_a_pipe_have_a_field_for_each_column_whatever_is_in_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_rows([{"a": "1\t2\n3\x1b[1m", "b\tc": b"\xff", "d": None}])
    assert capsys.readouterr().out == "a\tb\\tc\td\n1\\t2\\n3\\x1b[1m\tff\t\n"


@pytest.mark.parametrize("name", main.list_commands(click.Context(main)))
@pytest.mark.parametrize("order", [["--json", "--csv"], ["--csv", "--json"]])
def test_an_answer_has_one_form(name: str, order: list[str]) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    options = {option for param in command.params for option in param.opts}
    if not options >= set(order):
        assert "--csv" not in options, "what is a table is JSON, too; a report is JSON only"
        return
    arguments = ["x" for param in command.params if isinstance(param, click.Argument) and param.required]
    done = bloxdb(name, *arguments, *order, code=2)
    assert "--json and --csv are two forms of one answer; give one of them" in done.stderr
    assert done.stdout == ""
