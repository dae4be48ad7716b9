"""`import`, `export` and `verify` as a user runs them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.helpers import bloxdb
from tests.release.helpers import changed

pytestmark = pytest.mark.slow


def test_init_import_export_verify(tmp_path: Path, golden: Path) -> None:
    db = tmp_path / "blox.db"
    assert f"created {db}" in bloxdb("init", "--db", db).stdout
    done = bloxdb("import", golden / "release-tiny", "--db", db)
    assert done.stdout == "6 files: 40 architectures, 40 runs, 400 epochs, 80 latencies; all new\n"
    for name in ("blox", "pickle", "csv"):
        exported = bloxdb("export", "--db", db, "--format", name, "--out", tmp_path / "out")
        assert "6 files: 40 architectures, 40 runs, 400 epochs, 80 latencies" in exported.stderr
        listed = exported.stdout.split()
        assert len(listed) == 6
        assert all(Path(path).is_file() for path in listed)
    lines = bloxdb("verify", tmp_path / "out").stdout.splitlines()
    assert len(lines) == 18 + 3
    assert re.fullmatch(r"blox-base-3.blox\t\d+\.\d{3} s\t40 runs, 400 epochs", lines[0])
    assert lines[-3] == ".blox: all 6 files equal those of the other formats"
    (tmp_path / "out" / "blox-info.csv").write_bytes(b"")
    assert "damaged" in bloxdb("verify", tmp_path / "out", code=1).stdout


def test_import_makes_the_database_where_there_is_none(tmp_path: Path, golden: Path) -> None:
    done = bloxdb("import", golden / "release-tiny", "--db", tmp_path / "new.db")
    assert "created" in done.stderr
    assert "40 runs" in done.stdout


def test_the_command_line_writes_and_reads_parquet(tiny_file: Path, tmp_path: Path) -> None:
    def run(*arguments: object) -> str:
        code = "from bloxdb.cli import main; main(prog_name='bloxdb')"
        command = [sys.executable, "-c", code, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    out = run("export", "--format", "parquet", "--db", tiny_file, "--out", tmp_path / "out", "--seed", 3)
    assert out.count(".parquet") == 6
    assert run("import", tmp_path / "out", "--db", tmp_path / "new.db").startswith(
        "new: 40 architectures, 40 runs, 400 epochs, 80 latencies"
    )


def test_an_import_says_what_is_new(tmp_path: Path, golden: Path) -> None:
    db, small = tmp_path / "a.db", golden / "release-small"

    def says(*files: object) -> str:
        return bloxdb("import", *files, "--db", db).stdout.strip().partition(": ")[2]

    assert says(small / "blox-info.csv") == "60 architectures; nothing new"
    assert says(small / "blox-base-0.csv") == "60 architectures, 60 runs, 12,000 epochs; all new"
    assert says(small / "blox-base-0.csv") == "60 architectures, 60 runs, 12,000 epochs; nothing new"
    assert says(small / "blox-ext-0.csv", small / "blox-env-0.csv") == (
        "60 architectures, 60 runs, 12,000 epochs; more is known of runs that were there"
    )
    assert says(small).startswith("60 architectures, 120 runs, 24,000 epochs, ")
    again = says(small)
    assert again.startswith("60 architectures, 120 runs, 24,000 epochs, ")
    assert again.endswith("; nothing new")


@pytest.mark.parametrize(
    "case", ["no such file", "wrong name", "damaged body", "conflict", "parquet", "ext alone"]
)
def test_a_failed_import_leaves_no_new_database(
    case: str, tmp_path: Path, golden: Path, empty_file: Path
) -> None:
    release, db = tmp_path / "release", tmp_path / "new.db"
    release.mkdir()
    tiny = golden / "release-tiny"
    if case == "wrong name":
        shutil.copy(tiny / "blox-base-3.csv", release / "blox-base-4.csv")
    elif case == "damaged body":
        shutil.copy(tiny / "blox-info.csv", release)
        (release / "blox-base-3.csv").write_bytes((tiny / "blox-base-3.csv").read_bytes()[:-40])
    elif case == "conflict":
        shutil.copy(tiny / "blox-base-3.csv", release)
        changed(tiny / "blox-base-3.csv", release / "again.csv", 0, "test_top1", 1.0)
    elif case == "parquet":
        (release / "runs.parquet").write_bytes(b"nothing")
    elif case == "ext alone":
        shutil.copy(tiny / "blox-ext-3.csv", release)
    given = [release / "again.csv", release] if case == "conflict" else [release]
    if case == "no such file":
        given = [tmp_path / "gone"]
    failed = bloxdb("import", *given, "--db", db, code=1)
    assert failed.stderr.startswith("Error: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["release"]
    shutil.copy(empty_file, db)
    before = db.read_bytes()
    bloxdb("import", *given, "--db", db, code=1)
    assert len(db.read_bytes()) == len(before)
    bloxdb("import", tiny, "--db", db)


def test_training_results_are_imported_with_what_should_be_known_of_them(
    tmp_path: Path, golden: Path
) -> None:
    raw, db = golden / "raw-results", tmp_path / "blox.db"
    done = bloxdb("import", raw / "results_0_15.pickle", "--db", db)
    assert done.stdout == "1 file: 15 architectures, 15 runs, 150 epochs; all new\n"
    assert "note: results_0_15.pickle: 2 architectures without results\n" in done.stderr
    refused = bloxdb("import", raw / "combined.pickle", "--db", db, code=1)
    assert "say the recipe and the seed of its runs (--recipe NAME --seed N)" in refused.stderr
    done = bloxdb("import", raw / "combined.pickle", "--db", db, "--recipe", "mine", "--seed", 3)
    assert "mine, cifar100 and seed 3 are believed" in done.stderr
    refused = bloxdb("import", raw, "--db", db, code=1)
    assert "results_33_36.pickle, byte 6458: the file is cut off" in refused.stderr
