"""Folders of Parquet files that lie."""

from __future__ import annotations

import io
import random
import shutil
import tempfile
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

import bloxdb
from bloxdb import space
from bloxdb.errors import BloxFormatError, ReleaseError
from tests.codecs.reference import WrongError
from tests.fuzz.mutations import flipped
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import Target

_NAMES = ("devices", "envs", "epochs", "latencies", "recipes", "runs")
_VALUES: tuple[Any, ...] = (
    *(None, 0, 1, -1, 2, 3, 7, 200, 65_535, 65_536, 91_124, 91_125, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)),
    *(0.0, -0.0, 0.5, 99.99, 100.0, 100.001, 12345.0, -1e-9, 1e300, float("nan"), float("inf")),
    *("", "x", "finished", "running", "*", "../x", "a\0b", "x" * 300, "{}", "[", '{"a": NaN}', True, b"x"),
    *("a\nb", "a---b", " ", '{"a": 1e999}', '{"a": "\\ud800"}', '{"a": -Infinity}', "[" * 2000),
    *(datetime(1, 1, 1), datetime(1969, 12, 31), datetime(9999, 12, 31, 23, 59, 59, 999_999)),
)
_OFTEN = (1_000, 50_000, 3_000_000)


def _often(draw: random.Random, table: Any) -> Any:
    """One row so often that a few bytes, as run lengths, stand for all of them; or one long text in many rows."""
    if not len(table):
        return table
    row = table.slice(draw.randrange(len(table)), 1)
    texts = [i for i, field in enumerate(table.schema) if pa.types.is_string(field.type)]
    if texts and draw.random() < 0.3:
        at = draw.choice(texts)
        long = pa.array([draw.choice(("x", "é", '{"a": "x"}')) * draw.choice((1_000, 100_000))])
        row = row.set_column(at, table.schema.field(at).name, long)
        return pa.concat_tables([row] * 1_000)
    return pa.concat_tables(
        [pa.concat_tables([row] * 1_000).combine_chunks()] * (draw.choice(_OFTEN) // 1_000)
    )


class ParquetFolder(Target):
    """A folder as a zip file; slow, as each that is taken becomes a database."""

    NAME: ClassVar[str] = "parquet"
    SUFFIX: ClassVar[str] = ".zip"
    SECONDS: ClassVar[int] = 60  # what is taken makes two databases of 91,125 architectures each

    def __init__(self) -> None:
        pa.set_cpu_count(1)
        self._kept = tempfile.TemporaryDirectory()
        self._place = Path(self._kept.name)
        bloxdb.create(self._place / "empty.db", current=False).close()
        self._renew()
        (self._place / "release").mkdir()
        for seed in seeds("csv")[1:2] + seeds("csv")[4:5]:
            name = seed.header.header.stem
            (self._place / "release" / f"{name}.csv").write_bytes(seed.head + seed.body)
        with bloxdb.create(self._place / "giving.db", current=False) as giving:
            bloxdb.import_release(self._place / "release", giving)
            bloxdb.export_parquet(self._place / "honest", giving)
        self._tables = {name: pq.read_table(self._place / "honest" / f"{name}.parquet") for name in _NAMES}

    def case(self, draw: random.Random) -> bytes:
        """One table whose values, columns or rows are others."""
        name = draw.choice(_NAMES)
        table = self._tables[name]
        for _ in range(draw.choice((1, 1, 2))):
            table = self._changed(draw, table)
        table, size = (
            (_often(draw, table), 1 << 20) if draw.random() < 0.05 else (table, draw.choice((1, 2, 1000)))
        )
        out = io.BytesIO()
        pq.write_table(table, out, row_group_size=size, compression="zstd")
        data = out.getvalue()
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as files:
            files.writestr(f"{name}.parquet", flipped(draw, data) if draw.random() < 0.15 else data)
        return packed.getvalue()

    def _changed(self, draw: random.Random, table: Any) -> Any:
        column = draw.randrange(table.num_columns)
        field, what = table.schema.field(column), draw.randrange(10)
        values = table.column(column).to_pylist()
        if what <= 3 and values:
            values[draw.randrange(len(values))] = draw.choice(_VALUES)
            try:
                made = pa.array(values, type=field.type if draw.random() < 0.8 else None)
            except (pa.ArrowException, TypeError, OverflowError):
                made = pa.array([draw.choice(_VALUES[:5])] * len(values))
            return table.set_column(column, field.name, made)
        if what == 8:  # nothing is known of it, of any or all rows
            values = [None if draw.random() < draw.choice((0.1, 1)) else value for value in values]
            return table.set_column(column, field.name, pa.array(values, type=field.type))
        if what == 9 and len(table) and "best_epoch" in table.schema.names:
            return self._best(draw, table)
        if what == 4:
            return table.remove_column(column) if table.num_columns > 1 else table
        if what == 6:  # once more, or under another's name
            name = draw.choice([field.name, table.schema.names[0], "x"])
            return table.append_column(name, table.column(column))
        if what == 5:
            rows = [draw.randrange(len(table)) for _ in range(len(table))] if len(table) else []
            return table.take(pa.array(rows, type=pa.int64()))
        return table.slice(draw.randrange(len(table) + 1))

    def _best(self, draw: random.Random, runs: Any) -> Any:
        """Runs of which one has another best epoch, with the accuracy of that, or none at all."""
        rows, at = runs.to_pylist(), draw.randrange(len(runs))
        epochs = [row for row in self._tables["epochs"].to_pylist() if row["run_id"] == rows[at].get("id")]
        other = draw.choice([None, *epochs])
        rows[at] |= {
            "best_epoch": None if other is None else other["epoch"],
            "val_top1": None if other is None else other["val_top1"],
        }
        names = runs.schema.names
        found = pa.Table.from_pylist([{name: row[name] for name in names} for row in rows])
        return found.select(names)

    def judge(self, data: bytes) -> bool:
        """What is taken keeps every rule of the database, and every copy is what it copies."""
        folder = self._place / "lies"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self._place / "honest", folder)
        with zipfile.ZipFile(io.BytesIO(data)) as files:
            (name,) = files.namelist()
            (folder / Path(name).name).write_bytes(files.read(name))
        try:
            bloxdb.import_parquet(folder, self._db, replace=True)
        except (BloxFormatError, ReleaseError) as error:
            if str(folder) not in str(error) or ".bloxdb-" in str(error):
                raise WrongError(f"a sentence that names no file, or one of ours: {error}") from error
            return False
        try:
            self._check()
        finally:
            self._db.close()
            self._renew()
        return True

    def _renew(self) -> None:
        for path in self._place.glob("taking.db*"):
            path.unlink()
        shutil.copyfile(self._place / "empty.db", self._place / "taking.db")
        self._db = bloxdb.open(self._place / "taking.db", current=False)

    def _check(self) -> None:
        wrong = (
            "SELECT 1 FROM runs JOIN static_info USING (arch_id) WHERE runs.flops <> static_info.flops "
            "OR runs.params <> static_info.params",
            "SELECT 1 FROM runs WHERE best_epoch IS NOT NULL AND val_top1 IS NOT (SELECT val_top1 FROM epochs "
            "WHERE run_id = runs.id AND epoch = best_epoch)",
            "SELECT 1 FROM runs WHERE NOT test_top1 BETWEEN 0 AND 100 OR train_time_s < 0 OR seed < 0",
            "SELECT 1 FROM epochs WHERE NOT val_top1 BETWEEN 0 AND 100 OR train_loss < 0 OR epoch < 1",
            "SELECT 1 FROM epochs JOIN runs ON run_id = runs.id JOIN recipes ON recipe_id = recipes.id "
            "WHERE epoch > recipes.epochs",
            "SELECT 1 FROM latencies WHERE NOT latency_ms BETWEEN 0 AND 1.8e308",
            f"SELECT 1 FROM runs WHERE arch_id NOT BETWEEN 0 AND {space.NUM_ARCHS - 1}",
            "SELECT 1 FROM runs WHERE typeof(seed) <> 'integer' OR typeof(status) <> 'text'",
            "SELECT 1 FROM runs WHERE status = 'finished' AND (best_epoch IS NULL OR train_time_s IS NULL)",
            "SELECT 1 FROM runs JOIN epochs best ON best.run_id = runs.id AND best.epoch = best_epoch JOIN epochs "
            "other ON other.run_id = runs.id WHERE other.val_top1 > best.val_top1 OR other.val_top1 = "
            "best.val_top1 AND other.val_loss < best.val_loss",
            "SELECT 1 FROM devices WHERE trim(name) = '' OR name LIKE '%---%' OR instr(name, char(10))",
            *(
                f"SELECT 1 FROM runs WHERE {name} NOT BETWEEN '1970' AND '9999'"
                for name in ("started_at", "finished_at", "heartbeat_at")
            ),
        )
        for query in wrong:
            if self._db.rows(query):
                raise WrongError(f"there are rows for {query}")
        if self._db.rows("PRAGMA foreign_key_check"):
            raise WrongError("a reference leads nowhere")
