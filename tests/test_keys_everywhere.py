"""What names an architecture means the same at every entry: the table of `bloxdb.space.keys`, row by row."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

import bloxdb
from bloxdb import Arch, Database, draw, plot, space
from bloxdb.runs import RecipeFacts, RunQueue

INDEX = (
    36_001  # its first cell has two branches side by side, so that it has a vector besides the canonical one
)
NESTED = space.arch_vec(INDEX)
FLAT = [number for cell in NESTED for part in cell for number in part]
HASH = space.model_hash(INDEX)
AXES = Figure().add_subplot()


class Indexed:
    """An object that has an index, as an `Arch` or a tensor of one number has."""

    def __index__(self) -> int:
        return INDEX


GOOD: dict[str, Any] = {
    "nested lists": NESTED,
    "nested tuples": tuple(tuple(tuple(part) for part in cell) for cell in NESTED),
    "lists of arrays": [[np.array(part) for part in cell] for cell in NESTED],
    "15 integers": FLAT,
    "an array": np.array(FLAT),
    "an array of bytes": np.array(FLAT, dtype=np.uint8),
    "the text of a vector": str(NESTED),
    "the text of 15 integers": ",".join(map(str, FLAT)),
    "a hash": HASH,
    "a hash in capitals": f" {HASH.upper()} ",
    "the first 8 digits of a hash": HASH[:8],
    "all digits but one, in capitals": HASH[:31].upper(),
    "an index": INDEX,
    "a NumPy index": np.uint32(INDEX),
    "the text of an index": str(INDEX),
    "an object with an index": Indexed(),
}
NOBODY: dict[str, Any] = {
    "a hash that nobody has": "0" * 32,
    "a beginning that nobody has": "0" * 9,
    "an index below": -1,
    "an index above": space.NUM_ARCHS,
    "a NumPy index above": np.int64(space.NUM_ARCHS),
    "the text of an index above": str(space.NUM_ARCHS),
    "a vector without a path": [[[0], [0, 0, 0, 0]]] * 3,
}
MALFORMED: dict[str, Any] = {
    "too few cells": NESTED[:2],
    "an operation that is none": [[[3], [0, 1, 0, 0]]] * 3,
    "a number that is none": [[[0], [0, 1.5, 0, 0]]] * 3,
    "a truth value": True,
    "floats in a vector": [[[0.0], [0, 1.0, 0, 0]]] * 3,
    "truth values in a vector": [[[True], [0, True, 0, 0]]] * 3,
    "a truth value of a tensor": np.array(True),
    "a float": float(INDEX),
    "nothing": None,
    "other text": "hello",
    "too few digits of a hash": HASH[:7] + "x",
    "too many digits of a hash": HASH + "0",
    "an empty text": "",
}


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory, tiny_file: Path) -> Iterator[Database]:
    """A database in which the architecture has a run."""
    with bloxdb.create(tmp_path_factory.mktemp("keys") / "keys.db") as made:
        queue = RunQueue(made, [INDEX], RecipeFacts("one-1", "cifar100", 1), 0)
        queue.fill()
        run = queue.claim()
        assert run is not None
        run.begin()
        metrics = bloxdb.runs.Metrics(40.0, 70.0, 2.0)
        epoch = bloxdb.runs.EpochResult(1, metrics, metrics)
        run.epoch(epoch)
        run.finish(bloxdb.runs.RunResult(False, epoch, metrics, 5.0))
        yield made


@pytest.fixture(scope="module")
def folder(db: Database, tmp_path_factory: pytest.TempPathFactory) -> bloxdb.Dataset:
    """The same from release files."""
    path = tmp_path_factory.mktemp("release")
    bloxdb.export_release(path, db)
    return bloxdb.from_folder(path, extended=True, include_static_info=True)


Ask = Callable[[Any, Database, bloxdb.Dataset], Any]

LOOKUPS: dict[str, Ask] = {
    "Arch.get": lambda key, db, _: getattr(Arch.get(key, db), "id", None),
    "find_arch": lambda key, db, _: space.find_arch(key),
    "draw.table": lambda key, db, _: f"Blox architecture {INDEX}<" in draw.table([{"vec": key}]) and INDEX,
    "find_archs": lambda key, db, _: {-1: None}.get(*[space.find_archs([key])[0]] * 2),
    **{
        f"{method} of a {kind}": (
            lambda key, db, folder, method=method, kind=kind: (
                getattr(folder if kind == "folder" else bloxdb.from_database(db), method)(key) and INDEX
            )
        )
        for kind in ("folder", "database")
        for method in ("val_acc", "test_acc", "train_time", "full_info", "flops", "arch_vec", "__contains__")
    },
}
"""What may find nothing: the index, or something false."""

NEEDS: dict[str, Ask] = {
    "arch_index": lambda key, db, _: space.arch_index(key),
    "arch_indices": lambda key, db, _: space.arch_indices([key])[0],
    "model_hash": lambda key, db, _: space.arch_index(space.model_hash(key)),
    "canonical": lambda key, db, _: space.arch_index(space.canonical(key)),
    "block_indices": lambda key, db, _: int(space.block_indices(key) @ 45 ** np.arange(3)),
    "encode": lambda key, db, _: int(np.flatnonzero(space.encode(key)) % 45 @ 45 ** np.arange(3)),
    "graph": lambda key, db, _: space.graph(key) == space.graph(INDEX) and INDEX,
    "graph_arrays": lambda key, db, _: (
        all(map(np.array_equal, space.graph_arrays(key), space.graph_arrays(INDEX))) and INDEX
    ),
    "neighbours": lambda key, db, _: space.neighbours(key) == space.neighbours(INDEX) and INDEX,
    "mutate": lambda key, db, _: (
        space.mutate(key, random.Random(0)) == space.mutate(INDEX, random.Random(0)) and INDEX
    ),
    "draw.arch": lambda key, db, _: draw.arch(key) == draw.arch(INDEX) and INDEX,
    "plot.curves": lambda key, db, _: int(plot.curves([key], db=db, ax=AXES).get_lines()[-1].get_label()),
    "Problem": lambda key, db, _: bloxdb.Problem(db)(key) and INDEX,
    "Problem.cost": lambda key, db, _: bloxdb.Problem(db).cost(key) and INDEX,
    "table of a database": lambda key, db, _: bloxdb.from_database(db).table([key])["arch_id"][0],
    "table of a folder": lambda key, db, folder: folder.table([key])["arch_id"][0],
    "RunQueue": lambda key, db, _: RunQueue(db, [key], RecipeFacts("one-1", "cifar100", 1), 0) and INDEX,
}
"""What cannot go on without an architecture."""


@pytest.mark.parametrize("entry", [*LOOKUPS, *NEEDS])
@pytest.mark.parametrize("key", GOOD)
def test_every_spelling_finds_it(key: str, entry: str, db: Database, folder: bloxdb.Dataset) -> None:
    assert {**LOOKUPS, **NEEDS}[entry](GOOD[key], db, folder) == INDEX


@pytest.mark.parametrize("entry", LOOKUPS)
@pytest.mark.parametrize("key", NOBODY)
def test_a_lookup_finds_nothing_where_there_is_nothing(
    key: str, entry: str, db: Database, folder: bloxdb.Dataset
) -> None:
    assert not LOOKUPS[entry](NOBODY[key], db, folder)


@pytest.mark.parametrize("entry", NEEDS)
@pytest.mark.parametrize("key", NOBODY)
def test_what_needs_an_architecture_says_why_there_is_none(
    key: str, entry: str, db: Database, folder: bloxdb.Dataset
) -> None:
    with pytest.raises(bloxdb.InvalidArchError) as told:
        NEEDS[entry](NOBODY[key], db, folder)
    with pytest.raises(bloxdb.InvalidArchError) as plain:
        space.arch_index(NOBODY[key])
    assert str(told.value) == str(plain.value)  # the same sentence everywhere


@pytest.mark.parametrize("entry", [*LOOKUPS, *NEEDS])
@pytest.mark.parametrize("key", MALFORMED)
def test_a_malformed_key_is_an_error_with_one_sentence(
    key: str, entry: str, db: Database, folder: bloxdb.Dataset
) -> None:
    with pytest.raises(bloxdb.InvalidArchError) as told:
        {**LOOKUPS, **NEEDS}[entry](MALFORMED[key], db, folder)
    with pytest.raises(bloxdb.InvalidArchError) as plain:
        space.arch_index(MALFORMED[key])
    assert str(told.value) == str(plain.value)


def test_an_arch_can_stand_where_its_index_can(db: Database) -> None:
    arch = Arch.get(INDEX, db)
    assert arch is not None
    assert space.model_hash(arch) == HASH
    assert Arch.get(arch, db) is arch
    assert bloxdb.from_database(db).val_acc(arch) == 40.0


@pytest.mark.slow
@pytest.mark.parametrize("key", [key for key, value in GOOD.items() if isinstance(value, str | int)])
def test_the_command_line_takes_what_can_be_typed(key: str, db: Database) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bloxdb", "show", "--db", str(db.path), "--json", str(GOOD[key])],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f'"hash": "{HASH}"' in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "key", [key for key, value in {**NOBODY, **MALFORMED}.items() if isinstance(value, str)]
)
def test_the_command_line_says_the_same_sentence(key: str, db: Database) -> None:
    value = {**NOBODY, **MALFORMED}[key]
    done = subprocess.run(
        [sys.executable, "-m", "bloxdb", "show", "--db", str(db.path), value], capture_output=True, text=True
    )
    with pytest.raises(bloxdb.InvalidArchError) as plain:
        space.arch_index(value)
    assert (done.returncode, done.stderr) == (1, f"Error: {plain.value}\n")


_BYTES = np.zeros((2, 16), dtype=np.uint8)
_CELLS = np.array([[[0, 0, 1, 0, 0]] * 3] * 2, dtype=np.uint8)
SEVERAL: dict[str, tuple[Callable[[Any, Database, bloxdb.Dataset], object], Any]] = {
    "find_archs": (lambda keys, db, folder: space.find_archs(keys), np.array([1, 2])),
    "arch_indices": (lambda keys, db, folder: space.arch_indices(keys), np.array([1, 2])),
    "table": (lambda keys, db, folder: folder.table(keys), np.array([1, 2])),
    "table of a database": (lambda keys, db, folder: bloxdb.from_database(db).table(keys), np.array([1, 2])),
    "to_arrow": (lambda keys, db, folder: bloxdb.to_arrow("runs", db, archs=keys), np.array([1, 2])),
    "RunQueue": (
        lambda keys, db, folder: RunQueue(db, keys, RecipeFacts("m-1", "digits", 1), 0),
        np.array([1, 2]),
    ),
    "an array of hashes": (lambda keys, db, folder: space.find_archs(keys), np.array([HASH, HASH])),
    "digests": (lambda keys, db, folder: space.indices_of_digests(keys), _BYTES),
    "cells": (lambda keys, db, folder: space.indices_of_cells(keys), _CELLS),
}


@pytest.mark.parametrize("which", ["the last", "all"])
@pytest.mark.parametrize("entry", SEVERAL)
def test_masked_values_are_no_keys(entry: str, which: str, db: Database, folder: bloxdb.Dataset) -> None:
    ask, keys = SEVERAL[entry]
    mask = np.ones(keys.shape, dtype=bool)
    if which == "the last":
        mask[:-1] = False
    with pytest.raises(
        bloxdb.InvalidArchError, match=r"^the array of .* has masked values; give what is known"
    ):
        ask(np.ma.array(keys, mask=mask), db, folder)


def test_an_array_that_masks_nothing_is_one_like_any_other() -> None:
    keys = np.ma.array([1, 2], mask=[False, False])
    assert space.find_archs(keys).tolist() == [1, 2]
    assert type(space.find_archs(keys)) is np.ndarray
    assert space.find_archs(np.ma.array([1, 2], mask=[False, True]).compressed()).tolist() == [1]
