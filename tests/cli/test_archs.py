"""Which architectures the options of `train` and `bench` choose."""

from __future__ import annotations

from itertools import chain
from typing import Any

import click
import pytest
from click.testing import CliRunner

import bloxdb
from bloxdb import Database, space
from bloxdb.cli.archs import ArchCommand, arch_options, chosen_archs, taken
from bloxdb.cli.arrays import Part

NOTHING: dict[str, Any] = {"keys": (), "ranges": (), "count": None, "sql": None, "missing": False}


def choose(db: Database, seed: int = 0, done: tuple[int, ...] = (), **options: Any) -> list[int]:
    return chosen_archs(db, {**NOTHING, **options}, seed, lambda: done)


def test_architectures_are_named_by_any_key_a_range_and_a_query_each_once(empty_db: Database) -> None:
    keys = ("9", space.model_hash(7), space.vec_text(space.arch_vec(405)), "7")
    assert choose(empty_db, keys=keys) == [9, 7, 405]
    assert choose(empty_db, ranges=(range(3, 6),)) == [3, 4, 5]
    assert choose(empty_db, sql="SELECT id, hash FROM archs WHERE id < 2 ORDER BY id DESC") == [1, 0]
    assert choose(
        empty_db, keys=("4",), ranges=(range(3, 6),), sql="SELECT 5 AS id UNION ALL SELECT 91124"
    ) == [
        4,
        3,
        5,
        91_124,
    ]


def test_what_is_done_is_passed_over_and_all_are_meant_where_none_is_named(empty_db: Database) -> None:
    assert choose(empty_db, done=(4,), ranges=(range(3, 6),)) == [3, 4, 5]
    assert choose(empty_db, done=(4,), ranges=(range(3, 6),), missing=True) == [3, 5]
    assert choose(empty_db, done=(3, 4, 5), ranges=(range(3, 6),), missing=True) == []
    everything = choose(empty_db, done=(0, 91_124), missing=True)
    assert everything == list(range(1, 91_124))


def test_a_draw_is_of_what_is_named_and_the_same_for_the_same_seed(empty_db: Database) -> None:
    drawn = choose(empty_db, count=5)
    assert len(set(drawn)) == 5
    assert choose(empty_db, count=5) == drawn != choose(empty_db, seed=1, count=5)
    assert set(choose(empty_db, ranges=(range(3, 9),), done=(4,), missing=True, count=4)) <= {3, 5, 6, 7, 8}
    assert sorted(choose(empty_db, ranges=(range(3, 6),), count=99)) == [3, 4, 5]


@pytest.mark.parametrize(
    "options",
    [{"ranges": (range(6, 6),)}, {"ranges": (range(6, 3),)}, {"sql": "SELECT id FROM archs WHERE 0"}],
)
def test_a_choice_of_nothing_is_not_one_of_all(empty_db: Database, options: dict[str, Any]) -> None:
    with pytest.raises(bloxdb.QueryError, match="--range or --sql names no architecture"):
        choose(empty_db, **options)


@pytest.mark.parametrize(
    "sql", ["SELECT -1", "SELECT 91125", "SELECT NULL", "SELECT 1.0", "SELECT hash FROM archs"]
)
def test_a_query_that_gives_no_indices_is_refused(empty_db: Database, sql: str) -> None:
    with pytest.raises(
        bloxdb.QueryError, match="--sql must give architecture indices in its first column, not"
    ):
        choose(empty_db, sql=sql)


def test_architectures_must_be_named_somehow() -> None:
    with pytest.raises(click.UsageError, match="say which: --arch, --range, --random, --sql or --missing"):
        taken({**NOTHING, "epochs": 3})
    options = {**NOTHING, "missing": True, "epochs": 3}
    assert taken(options) == {**NOTHING, "missing": True}
    assert options == {"epochs": 3}


@pytest.mark.parametrize(
    "options", [{}, {"ranges": (range(3, 60),)}, {"count": 20}, {"keys": ("9", "7", "8")}]
)
def test_all_parts_of_a_choice_are_the_choice(empty_db: Database, options: dict[str, Any]) -> None:
    whole = choose(empty_db, **options)
    ranges = options.pop("ranges", ())
    parts = [choose(empty_db, **options, ranges=(*ranges, Part(index, 7))) for index in range(7)]
    assert sorted(chain(*parts)) == sorted(whole)


def test_what_is_done_moves_nothing_from_one_part_into_another(empty_db: Database) -> None:
    part = Part(1, 3)
    asked = choose(empty_db, ranges=(range(12), part))
    for done in ((), (0, 3), (1, 2, 4), tuple(range(12))):
        left = choose(empty_db, ranges=(range(12), part), missing=True, done=done)
        assert left == [index for index in asked if index not in done]


def asked(*words: object) -> tuple[int, str]:
    """What a command with these options is told, or its error."""

    @click.command(cls=ArchCommand)
    @arch_options
    @click.option("--seed")
    def choosing(seed: str | None, **options: Any) -> None:
        click.echo(f"{taken(options)['ranges']} {seed}")

    done = CliRunner().invoke(choosing, list(map(str, words)))
    return done.exit_code, done.output.strip()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--range", 3, 6, "--seed", 1), "(range(3, 6),) 1"),
        (("--range=3", 6), "(range(3, 6),) None"),
        (("--range", "3/6"), "(Part(index=3, count=6),) None"),
        (("--range", "6/6", "--seed", 1), "(Part(index=0, count=6),) 1"),
        (("--range=3/6", "--range", 1, 2), "(Part(index=3, count=6), range(1, 2)) None"),
        (("--range", "array/9"), "(Part(index=4, count=9),) None"),
        (("--range", "array", "--range", 1, 5), "(Part(index=0, count=2), range(1, 5)) None"),
    ],
)
def test_a_range_is_two_indices_or_one_part(
    words: tuple[object, ...], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"ID": 4, "MIN": 4, "MAX": 5, "STEP": 1, "COUNT": 2}.items():
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", str(value))
    assert asked(*words) == (0, told)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--range", 404), "'404' is no range; say FIRST END, as 0 1000, or a part, as 3/100"),
        (("--range", 404, "--seed", 1), "'404' is no range"),
        (("--range", 404, "x"), "'x' is no whole number in 0 ... 91125"),
        (("--range", "x", 404), "'x' is no whole number in 0 ... 91125"),
        (("--range", -1, 5), "-1 is not in the range"),
        (("--range", 0, 91_126), "91126 is not in the range"),
        (("--range", "7/3"), "7 is none of 3 parts"),
        (("--range", "3/0"), "there are no 0 parts"),
        (("--range", "three/4"), "'three/4' is no range"),
        (("--range", "1/3", "--range", "2/3"), "--range names two parts"),
        (("--range", "1/3", "--random", 5, "--missing"), "leave --missing out"),
    ],
)
def test_a_range_that_is_none_is_told(words: tuple[object, ...], told: str) -> None:
    code, output = asked(*words)
    assert code == 2
    assert told in " ".join(output.split())
