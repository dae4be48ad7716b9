"""What devices can be called: whatever adds one asks the same rule, and one that SQL has made is told."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bloxdb.trainer.latency import Setting, measure_all
from sqlalchemy import update

import bloxdb
from bloxdb import Database
from bloxdb.codecs import Header
from bloxdb.codecs.columns import BENCH
from bloxdb.db.references import device_id
from bloxdb.db.schema import Device
from bloxdb.device_names import fitting_name, is_device_name, new_device_name
from bloxdb.errors import BloxError
from tests.release.helpers import TINY

NO_NAMES = ["", " ", "a\nb", "a\x1b[31m", "\ud800", "a\0b", "x" * 201, "/" * 67, "a---b"]
STORED = [name for name in NO_NAMES if name.isprintable() or name == "a\nb"]  # as a text of a database

Enter = Callable[[str, Database, Path], object]


def by_row(name: str, db: Database, folder: Path) -> None:
    with db.transaction() as session:
        device_id(session, name)


def by_header(name: str, db: Database, folder: Path) -> None:
    Header("benchmarking", BENCH, device=name)


def by_bench(name: str, db: Database, folder: Path) -> None:
    measure_all(db, name, [7], Setting(), lambda *_: pytest.fail("it was measured"))


def giving(name: str, db: Database, folder: Path) -> Path:
    """A database of which SQL has called a device so."""
    assert db.path is not None
    shutil.copyfile(db.path, folder / "giving.db")
    with bloxdb.open(folder / "giving.db", current=False) as other:
        bloxdb.import_release(folder / "release", other)
        bloxdb.export_parquet(folder / "parquet", other)
        with other.transaction() as session:
            session.execute(update(Device).where(Device.id == 1).values(name=name))
    return folder / "giving.db"


def by_merge(name: str, db: Database, folder: Path) -> None:
    bloxdb.merge(giving(name, db, folder), db)


def by_parquet(name: str, db: Database, folder: Path) -> None:
    giving("a", db, folder)
    path = folder / "parquet" / "devices.parquet"
    read = pq.read_table(path)
    names = pa.array([name, *read["name"].to_pylist()[1:]], pa.string())
    pq.write_table(read.set_column(read.schema.get_field_index("name"), "name", names), path)
    bloxdb.import_parquet(folder / "parquet", db)


CODE = {"a row": by_row, "a header": by_header, "bench": by_bench}
FILES = {"merge": by_merge, "Parquet": by_parquet}
ENTRIES = [
    *((enter, CODE[enter], name) for enter in CODE for name in NO_NAMES),
    *((enter, FILES[enter], name) for enter in FILES for name in STORED),
]


@pytest.mark.parametrize(("enter", "name"), [entry[1:] for entry in ENTRIES], ids=[e[0] for e in ENTRIES])
def test_no_way_in_takes_a_device_that_no_file_can_be_named_after(
    enter: Enter, name: str, empty_db: Database, golden: Path, tmp_path: Path
) -> None:
    shutil.copytree(golden / TINY, tmp_path / "release")
    with pytest.raises(BloxError, match="device"):
        enter(name, empty_db, tmp_path)
    assert empty_db.rows("SELECT * FROM devices") == []


@pytest.fixture
def misnamed(tiny_file: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A database with a device that SQL has called so."""
    path = tmp_path / "blox.db"
    shutil.copyfile(tiny_file, path)
    with bloxdb.open(path, current=False) as db, db.transaction() as session:
        session.execute(update(Device).where(Device.id == 1).values(name=request.param))
    return path


@pytest.mark.parametrize("misnamed", STORED, indirect=True)
def test_a_check_finds_such_a_device_and_a_repair_names_it_anew(misnamed: Path, tmp_path: Path) -> None:
    told = [found.message for found in bloxdb.check(misnamed).findings]
    assert told == ["1 row of devices has a name that no file can be named after; it is id 1"]
    report = bloxdb.repair(misnamed)
    assert report.is_whole
    (said,) = report.repaired
    assert said.startswith("device 1, ")
    assert said.endswith(" now, after which a file can be named")
    with bloxdb.open(report.copy, current=False) as db:
        assert db.rows("SELECT count(*) AS n FROM latencies WHERE device_id = 1")[0]["n"] > 0
        assert bloxdb.export_release(tmp_path / "out", db).files


@pytest.mark.parametrize("format", [*bloxdb.codecs.FORMATS, "parquet"])
@pytest.mark.parametrize("misnamed", ["a\nb", "it's\n", ""], indirect=True)
def test_an_export_says_which_device_it_is_and_what_to_do(
    misnamed: Path, tmp_path: Path, format: str
) -> None:
    with bloxdb.open(misnamed, current=False) as db:
        for again in (False, True):
            out = tmp_path / f"out-{again}"
            try:
                if format == "parquet":
                    bloxdb.export_parquet(out, db)
                else:
                    bloxdb.export_release(out, db, format=format)
            except bloxdb.ReleaseError as error:
                assert not again
                assert "device 1 is called " in str(error)
                advice = str(error).partition("(in SQL, ")[2].partition("), or take")[0]
                with db.transaction() as session:
                    session.connection().exec_driver_sql(advice)
            else:
                assert again


def test_names_that_devices_are_given_anew_are_names_and_nobody_elses() -> None:
    for name in NO_NAMES:
        assert is_device_name(fitting_name(3, name))
        assert not is_device_name(name)
    assert fitting_name(3, "a\nb", ["a%0Ab"]) == "device-3"
    assert fitting_name(3, "", ["device-3", "device-3-2"]) == "device-3-3"
    assert new_device_name("jetson nano") == "jetson nano"
