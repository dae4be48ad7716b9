"""A disk that fails while a file is read: whoever reads it says which file that is."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from bloxdb.trainer.checkpoint import Checkpoint
from bloxdb.trainer.data import load_data
from bloxdb.trainer.recipe import make_recipe
from bloxdb.trainer.weights import load_network

from bloxdb.codecs import formats
from bloxdb.errors import BloxError, QueryError
from bloxdb.files import open_file
from bloxdb.release import packings, results

FAILING = Path("/proc/self/mem")
"""A file of Linux whose first byte cannot be read: nothing is ever at the address 0."""

pytestmark = pytest.mark.skipif(not FAILING.exists(), reason="only Linux has a file that cannot be read")


def _checkpoint(path: Path) -> None:
    checkpoint = Checkpoint(path.parent, "", 0, 0)
    checkpoint.path = path
    checkpoint.load(torch.device("cpu"))


def _lines(path: Path) -> None:
    with open_file(path, QueryError) as stream:
        list(stream)


READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "blox": ("a.blox", formats.read),
    "csv": ("a.csv", formats.read),
    "packed": ("a.csv.gz", formats.read),
    "header": ("a.pickle", formats.read_header),
    "bytes": ("a.pickle.xz", packings.contents),
    "results": ("a.json", results.read_results),
    "recipe": ("a.toml", lambda path: make_recipe("digits", path, {})),
    "checkpoint": ("a.ckpt", _checkpoint),
    "data": ("a.npz", lambda path: load_data(str(path))),
    "weights": ("a.safetensors", load_network),
    "lines": ("a.txt", _lines),
}


@pytest.mark.parametrize("reader", READERS)
def test_an_error_of_reading_names_the_file(reader: str, tmp_path: Path) -> None:
    name, read = READERS[reader]
    path = tmp_path / name
    path.symlink_to(FAILING)
    with pytest.raises((BloxError, OSError)) as info:
        read(path)
    assert str(path) in str(info.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [["import"], ["train", "--dataset", "digits", "--random", "1", "--config"]], ids=" ".join
)
def test_a_command_names_the_file(words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "blox-base-3.csv"
    path.symlink_to(FAILING)
    done = subprocess.run(
        [sys.executable, "-m", "bloxdb", *words, path, "--db", tmp_path / "new.db"],
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, f"Error: {path}: Input/output error\n")
