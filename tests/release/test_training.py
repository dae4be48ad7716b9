"""Training files into runs and epochs."""

from __future__ import annotations

from pathlib import Path

import pytest

import bloxdb
from bloxdb import Database
from tests.release.helpers import TINY, changed


def test_a_replaced_run_has_its_best_epoch_anew(tiny_db: Database, golden: Path, tmp_path: Path) -> None:
    path = changed(
        golden / TINY / "blox-base-3.csv", tmp_path / "blox-base-3.csv", 0, "val_top1", [99.0, *[1.0] * 9]
    )
    bloxdb.import_release(path, tiny_db, replace=True)
    arch = bloxdb.Arch.get("dab44c12f79899d6de493c696c7ee8d1", tiny_db)
    assert arch is not None
    assert (arch.runs[0].best_epoch, arch.runs[0].val_top1) == (1, 99.0)
    assert arch.epochs[0].val_loss is not None  # what the file does not give stays


def test_values_finer_than_the_database_keeps_are_refused(
    empty_db: Database, golden: Path, tmp_path: Path
) -> None:
    values = [1.0, 2.0001, *[3.0] * 8]
    path = changed(golden / TINY / "blox-base-3.csv", tmp_path / "blox-base-3.csv", 4, "val_top1", values)
    with pytest.raises(
        bloxdb.BloxFormatError, match="row 4, column val_top1: the value 2.0001 of epoch 2 has more decimals"
    ):
        bloxdb.import_release(path, empty_db)
