"""What a function is about, of a type that is none of those that it takes: a sentence of ours, everywhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bloxdb.trainer.data import load_data

import bloxdb
import bloxdb.compat as blox
from bloxdb import Database, codecs, plot, runs
from bloxdb.dataset import Dataset
from bloxdb.runs.processes import may_live

WRONG: dict[str, Any] = {
    "a database": None,  # the one of the test
    "a number": 5.5,
    "bytes": b"csv",
    "bytes in a list": [b"csv"],
    "an object": object(),
}


def of_database(db: Database) -> Dataset:
    return bloxdb.from_database(db)


WAYS: dict[str, Callable[[Any, Database], object]] = {
    "table, columns": lambda wrong, db: of_database(db).table(columns=wrong),
    "table, archs": lambda wrong, db: of_database(db).table(wrong),
    "latency, devices": lambda wrong, db: of_database(db).latency(57, wrong),
    "compat, devices": lambda wrong, db: blox.Dataset.of(bloxdb.from_database(db)._source).latency(57, wrong),
    "from_folder": lambda wrong, _: bloxdb.from_folder(wrong),
    "from_folder, devices": lambda wrong, _: bloxdb.from_folder(GOLDEN / "release-tiny", devices=wrong),
    "from_folder, preferred_ext": lambda wrong, _: bloxdb.from_folder(
        GOLDEN / "release-tiny", preferred_ext=wrong
    ),
    "to_arrow, columns": lambda wrong, db: bloxdb.to_arrow("runs", db, columns=wrong),
    "to_arrow": lambda wrong, db: bloxdb.to_arrow(wrong, db),
    "plot.costs": lambda wrong, db: plot.costs(wrong, db=db),
    "export_release": lambda wrong, db: bloxdb.export_release(wrong, db),
    "export_parquet": lambda wrong, db: bloxdb.export_parquet(wrong, db),
    "import_release": lambda wrong, db: bloxdb.import_release(wrong, db),
    "import_parquet": lambda wrong, db: bloxdb.import_parquet(wrong, db),
    "merge": lambda wrong, db: bloxdb.merge(wrong, db),
    "backup": lambda wrong, db: bloxdb.backup(wrong, db),
    "top": lambda wrong, db: bloxdb.top(wrong, db),
    "retry": lambda wrong, db: runs.retry(wrong, db),
    "gaps": lambda wrong, db: runs.gaps(wrong, 0, db),
    "environment_id": lambda wrong, db: runs.environment_id(wrong, db),
    "may_live": lambda wrong, _: may_live(wrong),
    "read": lambda wrong, _: codecs.read(wrong),
    "Dataset": lambda wrong, _: Dataset(wrong),
    "Database": lambda wrong, _: Database(wrong),
    "load_data": lambda wrong, _: load_data(wrong),
}
GOLDEN = Path(__file__).parent / "data" / "golden"


@pytest.fixture(scope="module")
def db(tiny_file: Path) -> Any:
    with bloxdb.open(tiny_file, read_only=True) as opened:
        yield opened


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("way", WAYS)
def test_what_is_of_a_wrong_type_is_told_in_a_sentence(
    way: str, wrong: str, db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(bloxdb.BloxError) as info:
        WAYS[way](db if wrong == "a database" else WRONG[wrong], db)
    assert "\n" not in str(info.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", [None, 5.5, "text", [b""]], ids=repr)
def test_what_is_decoded_is_bytes(wrong: Any) -> None:
    with pytest.raises(bloxdb.QueryError, match="is decoded from its bytes"):
        codecs.decode(wrong)


def test_bytes_are_no_format_and_no_device(db: Database) -> None:
    with pytest.raises(bloxdb.QueryError, match=r"^formats in preferred_ext are .* of: blox, .* not b'csv'$"):
        bloxdb.from_folder(GOLDEN / "release-tiny", preferred_ext=b"csv")  # type: ignore[arg-type]
    with pytest.raises(
        bloxdb.QueryError, match=r"^devices are a name, or several, or False for none, not b'x'$"
    ):
        bloxdb.from_database(db).latency(120, b"x")  # type: ignore[arg-type]
    with pytest.raises(bloxdb.QueryError, match=r"^columns are a name, or several, not None$"):
        bloxdb.from_database(db).table(columns=None)  # type: ignore[arg-type]
