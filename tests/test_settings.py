"""Settings as JSON keeps them: what is taken, and what is refused in a sentence."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import bloxdb
from bloxdb import Database, runs, space
from bloxdb.codecs import decode
from bloxdb.db.references import device_id, environment_id
from bloxdb.errors import BloxError, QueryError, spelled
from bloxdb.runs import EpochResult, RecipeFacts, RunQueue, RunResult
from bloxdb.settings import MOST_LEVELS, is_deep, settings


def test_settings_are_what_json_gives_back() -> None:
    given = {
        "rate": np.float32(0.5),
        "steps": (1, np.int64(2)),
        "of": {"deep": np.array([1, 2])},
        "none": None,
    }
    found = settings(given, "the settings")
    assert found == {"rate": 0.5, "steps": [1, 2], "of": {"deep": [1, 2]}, "none": None}
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert settings({}, "the settings") == {}


DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    "value",
    [float("nan"), [float("inf")], {"x": -np.inf}, np.array([np.nan]), object(), b"x", {1: 2}, {"\0": 1}, ["\ud800"],
     1j, {1, 2}, datetime.date(2026, 1, 1), np.datetime64("2026-01-01"), DEEP,
     np.array(["\0x"]), np.ma.masked_array(1.0, mask=True), np.ma.masked_array([1, 2], mask=[0, 1])],
    ids=range(17),
)  # fmt: skip
def test_what_json_has_not_is_no_setting(value: Any) -> None:
    with pytest.raises(QueryError, match="the settings"):
        settings({"rate": value}, "the settings")


@pytest.mark.parametrize("value", [None, 5, "x", [("a", 1)], b"x"])
def test_settings_are_a_mapping(value: Any) -> None:
    with pytest.raises(QueryError, match="the settings are a mapping, not "):
        settings(value, "the settings")


def within(levels: int, kind: str = "lists") -> Any:
    """A list or a mapping with so many levels, of which the last is empty."""
    made: Any = {} if kind == "mappings" else []
    for _ in range(levels - 1):
        made = {"a": made} if kind == "mappings" else [made]
    return made


@pytest.mark.parametrize("kind", ["lists", "mappings"])
def test_settings_have_so_many_levels_and_no_more(kind: str) -> None:
    fine = {"a": within(MOST_LEVELS - 1, kind)}
    assert settings(fine, "the settings") == fine
    assert not is_deep(fine)
    with pytest.raises(QueryError, match="^the settings have more than 64 levels of lists and mappings"):
        settings({"a": fine}, "the settings")
    assert is_deep({"a": fine})


def with_device(db: Database, value: Any) -> None:
    with db.transaction() as session:
        device_id(session, "a device", {"a": value})


ENTRIES: dict[str, Callable[[Any, Database], object]] = {
    "RecipeFacts(config)": lambda deep, _: RecipeFacts("r", "digits", 1, config={"a": deep}),
    "RecipeFacts(config), itself": lambda deep, _: RecipeFacts("r", "digits", 1, config=deep),
    "RecipeFacts(images)": lambda deep, _: RecipeFacts("r", "digits", 1, images=deep),
    "RecipeFacts(name)": lambda deep, _: RecipeFacts(deep, "digits", 1),
    "RunQueue": lambda deep, db: RunQueue(db, [deep], RecipeFacts("r", "digits", 1), 0),
    "device": lambda deep, db: with_device(db, deep),
    "environment_id": lambda deep, db: environment_id(deep, db),
    "environment_id, a fact": lambda deep, db: environment_id({"gpu": deep}, db),
    "EpochResult": lambda deep, _: EpochResult(1, deep, None),  # type: ignore[arg-type]
    "RunResult": lambda deep, _: RunResult(deep, None, None, 1.0),
    "retry": lambda deep, db: runs.retry(deep, db),
    "top": lambda deep, db: bloxdb.top(deep, db),
    "top, by": lambda deep, db: bloxdb.top(1, db, by=deep),
    "top, seeds": lambda deep, db: bloxdb.top(1, db, seeds=deep),
    "top, recipe": lambda deep, db: bloxdb.top(1, db, recipe=deep),
    "to_arrow": lambda deep, db: bloxdb.to_arrow(deep, db),
    "to_arrow, columns": lambda deep, db: bloxdb.to_arrow("runs", db, columns=deep),
    "merge": lambda deep, db: bloxdb.merge(deep, db),
    "merge, prefer": lambda deep, db: bloxdb.merge("x", db, prefer=deep),
    "backup": lambda deep, db: bloxdb.backup(deep, db),
    "from_folder": lambda deep, _: bloxdb.from_folder(deep),
    "arch_index": lambda deep, _: space.arch_index(deep),
    "nested": lambda deep, _: space.nested(deep),
    "header": lambda deep, _: decode(b"---\na: " + b"[" * 500 + b"]" * 500 + b"\n---\n"),
}
"""Whatever takes settings, or a value that a caller may have any of; add yours."""


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with bloxdb.create(tmp_path_factory.mktemp("settings") / "a.db", current=False) as made:
        yield made


@pytest.mark.parametrize("levels", [200, 1_000, 100_000])
@pytest.mark.parametrize("way", ENTRIES)
def test_what_is_deep_is_told_in_a_sentence(way: str, levels: int, db: Database) -> None:
    with pytest.raises(BloxError) as told:
        ENTRIES[way](within(levels), db)
    assert len(str(told.value)) < 500
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("levels", [MOST_LEVELS, 500, 100_000])
def test_settings_of_parquet_have_as_many_levels(levels: int, db: Database, tmp_path: Path) -> None:
    folder = tmp_path / "parquet"
    RunQueue(db, [1], RecipeFacts("of-parquet", "digits", 1, config={"a": 1}), 0)
    bloxdb.export_parquet(folder, db)
    (path,) = folder.glob("recipes*.parquet")
    table = pq.read_table(path)
    at = table.column_names.index("config")
    deep = '{"a": ' * levels + "1" + "}" * levels
    rows = pa.array([deep] * len(table), table.schema.field(at).type)
    pq.write_table(table.set_column(at, table.schema.field(at), rows), path)
    told = (
        "another recipe named of-parquet"
        if levels == MOST_LEVELS
        else "(it has more than 64 levels|it is not JSON)"
    )
    with pytest.raises(BloxError, match=told):
        bloxdb.import_parquet(folder, db)


class Shy:
    """Something of somebody's that cannot be shown."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __repr__(self) -> str:
        raise self.error


class Other(list[Any]):
    """A list of somebody's."""


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (within(1_000), "[[[[[...]]]]]"),
        (Other(within(1_000)), "a Other with very many others within one another"),
        ([10**5_000], "a list with a number of thousands of digits"),
        (10**5_000, "a number of 16610 bits"),
        ("x" * 200, "'" + "x" * 99),
        (np.eye(2), "array([[1., 0.], [0., 1.]])"),
        (pd.Series([3]), "0    3 dtype: int64"),
        (Shy(ValueError("I have no name")), "a Shy that cannot be shown"),
        ([Shy(TypeError("nor I"))], "a list that cannot be shown"),
        (Shy(KeyError()), "a Shy that cannot be shown"),
    ],
    ids=range(10),
)
def test_any_value_can_be_shown(value: Any, told: str) -> None:
    assert spelled(value) == told
