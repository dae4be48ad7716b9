"""An error of whatever writes files names the one that was asked for, as it was asked for, and none of ours."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import update

import bloxdb
from bloxdb import Database, Run

WAYS = {
    "blox": "bloxdb.export_release('out/blox', db)",
    "csv": "bloxdb.export_release('out/csv', db, format='csv')",
    "pickle": "bloxdb.export_release('out/pickle', db, format='pickle')",
    "parquet": "bloxdb.export_parquet('out/parquet', db)",
    "static": "write_copy(Path('out/static'), db)",
    "backup": "bloxdb.backup('out/backup', db)",
    "compact": "bloxdb.backup('out/compact', db, compact=True)",
    "svg": "draw.arch(5).save('out/svg.svg')",
    "png": "draw.arch(5).save('out/png.png')",
    "plot": "plot.save(plot.costs('flops', 'params', db), 'out/plot.svg')",
}

CODE = """
import json, resource, sys
from pathlib import Path
import bloxdb
from bloxdb import draw, plot
from bloxdb.web.copying import write_copy

db, said = bloxdb.open(sys.argv[1], read_only=True), {}
ways = json.loads(sys.argv[2])
most = resource.getrlimit(resource.RLIMIT_FSIZE)
for name, way in ways.items():
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, most[1]))  # as a disk that is full
    try:
        exec(way)
        said[name] = "nothing"
    except (OSError, bloxdb.BloxError) as error:
        said[name] = str(error)
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory, tiny_file: Path) -> dict[str, str]:
    """What each way says where files may have 64 bytes."""
    words = [sys.executable, "-c", CODE, str(tiny_file), json.dumps(WAYS)]
    folder = tmp_path_factory.mktemp("written")
    done = subprocess.run(words, capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr
    assert [path for path in folder.rglob("*") if path.is_file()] == []
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("way", WAYS)
def test_an_error_names_what_was_asked_for(way: str, said: dict[str, str]) -> None:
    assert f"out/{way}" in said[way]
    assert ".bloxdb-" not in said[way]
    assert "too large" in said[way] or "I/O error" in said[way]


def test_a_value_that_a_format_cannot_hold_is_told_with_the_file_that_was_asked_for(
    tiny_db: Database, tmp_path: Path
) -> None:
    with tiny_db.transaction() as session:
        session.execute(update(Run).values(train_time_s=2**40))
    target = tmp_path / "new" / "release"
    with pytest.raises(bloxdb.BloxFormatError) as info:
        bloxdb.export_release(target, tiny_db, format="blox")
    (seed,) = {row["seed"] for row in tiny_db.rows("SELECT seed FROM runs")}
    assert str(info.value).startswith(f"{target / f'blox-base-{seed}.blox'}, row ")
    assert not target.parent.exists()
