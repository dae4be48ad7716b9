"""`import`, `export` and `verify` as a user runs them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.cli.helpers import bloxdb


def test_init_import_export_verify(tmp_path: Path, golden: Path) -> None:
    db = tmp_path / "blox.db"
    assert f"created {db}" in bloxdb("init", "--db", db).stdout
    done = bloxdb("import", golden / "release-tiny", "--db", db)
    assert done.stdout == "6 files: 160 rows added, 0 values replaced, 40 rows unchanged\n"
    for name in ("blox", "pickle", "csv"):
        listed = bloxdb("export", "--db", db, "--format", name, "--out", tmp_path / "out").stdout.split()
        assert len(listed) == 6
        assert all(Path(path).is_file() for path in listed)
    lines = bloxdb("verify", tmp_path / "out").stdout.splitlines()
    assert len(lines) == 18 + 3
    assert re.fullmatch(r"blox-base-3.blox\t\d+\.\d{3} s\t40 rows", lines[0])
    assert lines[-3] == ".blox: all 6 files equal those of the other formats"
    (tmp_path / "out" / "blox-info.csv").write_bytes(b"")
    assert "damaged" in bloxdb("verify", tmp_path / "out", code=1).stdout


def test_import_makes_the_database_where_there_is_none(tmp_path: Path, golden: Path) -> None:
    done = bloxdb("import", golden / "release-tiny", "--db", tmp_path / "new.db")
    assert "created" in done.stderr
    assert "160 rows added" in done.stdout


def test_the_command_line_writes_and_reads_parquet(tiny_file: Path, tmp_path: Path) -> None:
    def run(*arguments: object) -> str:
        code = "from bloxdb.cli import main; main(prog_name='bloxdb')"
        command = [sys.executable, "-c", code, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    out = run("export", "--format", "parquet", "--db", tiny_file, "--out", tmp_path / "out", "--seed", 3)
    assert out.count(".parquet") == 6
    assert run("import", tmp_path / "out", "--db", tmp_path / "new.db").startswith("120 added, 0 replaced")


def test_training_results_are_imported_with_what_should_be_known_of_them(
    tmp_path: Path, golden: Path
) -> None:
    raw, db = golden / "raw-results", tmp_path / "blox.db"
    done = bloxdb("import", raw / "results_0_15.pickle", "--db", db)
    assert done.stdout.startswith("1 files: 15 ")
    assert "note: results_0_15.pickle: 2 architectures without results\n" in done.stderr
    refused = bloxdb("import", raw / "combined.pickle", "--db", db, code=1)
    assert "say the recipe and the seed of its runs (--recipe NAME --seed N)" in refused.stderr
    done = bloxdb("import", raw / "combined.pickle", "--db", db, "--recipe", "mine", "--seed", 3)
    assert "mine and seed 3 are believed" in done.stderr
    refused = bloxdb("import", raw, "--db", db, code=1)
    assert "results_33_36.pickle, byte 6458: the file is cut off" in refused.stderr
