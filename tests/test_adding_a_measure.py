"""A new measure of runs is a line in the list, a column with its migration, and nothing else.

The test makes the change in a copy of the package, with the tools of a developer, and then uses it everywhere.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bloxdb.db import revisions

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]

LINE = '    Measure("test_ece", "percent", MILLI, False, "run"),\n'
COLUMN = "    test_ece: Mapped[float | None] = mapped_column(Double)\n"
NOW, NEXT = revisions.REVISION, f"{int(revisions.REVISION) + 1:04}"
REVISION = f"""
import sqlalchemy as sa
from alembic import op
revision, down_revision = "{NEXT}", "{NOW}"
def upgrade():
    with op.batch_alter_table("runs") as batch:
        batch.add_column(sa.Column("test_ece", sa.Double()))
    op.create_index("ix_runs_test_ece_flops_params", "runs", ["test_ece", "flops", "params"])
"""

USE = """
import json, sys
from pathlib import Path
import bloxdb
from bloxdb.runs import EpochResult, Metrics, RecipeFacts, RunQueue, RunResult, retry

folder = Path(sys.argv[1])
assert str(folder) in bloxdb.__file__, bloxdb.__file__

def filled(name, values):
    db = bloxdb.create(folder / name, current=False)
    queue = RunQueue(db, list(range(len(values))), RecipeFacts("mine-1", "cifar100", 1), 0)
    queue.fill()
    for value in values:
        run = queue.claim()
        run.begin()
        metrics = Metrics(50.0, 80.0, 1.5)
        run.epoch(EpochResult(1, metrics, metrics))
        run.finish(RunResult(False, EpochResult(1, metrics, metrics), metrics, 9.6, more={"test_ece": value}))
    return db

db = filled("ours.db", [3.25, 1.5, 7.0006])
found = {"top": [row["test_ece"] for row in bloxdb.top(db=db, by="test_ece")]}
found["pareto"] = [row["arch_id"] for row in bloxdb.pareto("test_ece", "test_top1", db)]
frame = bloxdb.to_arrow("runs", db)
found["frame"] = frame["test_ece"].to_pylist()
found["unit"] = frame.schema.field("test_ece").metadata[b"unit"].decode()
dataset = bloxdb.from_database(db)
found["columns"] = dataset.columns
found["table"] = dataset.table(columns=["test_ece"])["test_ece"].tolist()
found["info"] = dataset.full_info(1)["test_ece"]
bloxdb.export_parquet(folder / "parquet", db)
again = bloxdb.create(folder / "again.db", current=False)
bloxdb.import_parquet(folder / "parquet", again)
found["parquet"] = [row["test_ece"] for row in bloxdb.top(db=again, by="test_ece")]
try:
    bloxdb.merge(filled("theirs.db", [3.25, 1.5, 8.0]).path, db)
except bloxdb.ConflictError as error:
    found["merge"] = str(error)
with db.transaction() as session:
    session.connection().exec_driver_sql("UPDATE runs SET status = 'failed'")
retry(db=db)
found["forgotten"] = db.rows("SELECT count(test_ece) AS n FROM runs")[0]["n"]
bloxdb.export_release(folder / "release", again)
found["base"] = list(bloxdb.codecs.read_header(folder / "release" / "blox-base-0.blox").columns)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package as it is installed, with the change."""
    site = tmp_path_factory.mktemp("site")
    package = site / "bloxdb"
    no_caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "bloxdb", package, ignore=no_caches)
    shutil.copytree(ROOT / "trainer", package / "trainer", ignore=no_caches)
    shutil.copytree(ROOT / "migrations", package / "_migrations", ignore=no_caches)
    for name, before, after in (
        ("measures.py", ')\n"""Every measure,', f'{LINE})\n"""Every measure,'),
        ("db/schema.py", "    train_time_s: Mapped", f"{COLUMN}    train_time_s: Mapped"),
        ("db/revisions.py", f'REVISION = "{NOW}"', f'REVISION = "{NEXT}"'),
    ):
        path = package / name
        text = path.read_text()
        assert text.count(before) == 1
        path.write_text(text.replace(before, after))
    (package / "_migrations" / "versions" / f"{NEXT}_test_ece.py").write_text(REVISION)
    return site


def run(site: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, env=environment, cwd=site
    )


def test_everything_knows_a_measure_that_was_added_to_the_list(changed: Path) -> None:
    done = run(changed, "-c", USE, str(changed))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (
        found["top"] == found["parquet"] == [1.5, 3.25, 7.001]
    )  # lower is better, and three decimals are kept
    assert found["pareto"] == [1]
    assert found["frame"] == found["table"] == [3.25, 1.5, 7.001]
    assert (found["unit"], found["info"]) == ("percent", 1.5)
    assert "test_ece" in found["columns"]
    assert "1 value contradicts" in found["merge"]
    assert found["forgotten"] == 0
    assert found["base"] == ["model_hash", "val_top1", "test_top1", "train_time_s"]  # no file has it
    choices = run(changed, "-m", "bloxdb", "top", "--help").stdout
    assert "test_ece" in choices
    checked = run(
        changed,
        "-c",
        "import sys, bloxdb\nfrom alembic import command\nfrom bloxdb.db import revisions\n"
        "with bloxdb.create(sys.argv[1]) as db, db.engine.connect() as connection:\n"
        "    config = revisions.alembic_config()\n    config.attributes['connection'] = connection\n"
        "    command.check(config)",
        str(changed / "checked.db"),
    )
    assert checked.returncode == 0, checked.stderr
