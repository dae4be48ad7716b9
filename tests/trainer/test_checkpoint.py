"""Checkpoints: whole, or not there."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
from pathlib import Path

import pytest
import torch
from bloxdb.trainer.checkpoint import Checkpoint, DamagedCheckpointError, ForeignCheckpointError

CPU = torch.device("cpu")
DIGEST = "ab" * 32


def test_a_state_comes_back_as_it_was_and_the_last_one_counts(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "new", DIGEST, 405, 3)
    assert checkpoint.load(CPU) is None
    checkpoint.save({"epoch": 1})
    checkpoint.save({"epoch": 2, "weights": torch.arange(3)})
    found = Checkpoint(tmp_path / "new", DIGEST, 405, 3).load(CPU)
    assert found is not None
    assert found["epoch"] == 2
    assert found["weights"].tolist() == [0, 1, 2]
    assert [path.name for path in (tmp_path / "new").iterdir()] == [checkpoint.path.name]
    checkpoint.remove()
    checkpoint.remove()
    assert checkpoint.load(CPU) is None


def test_recipes_architectures_and_seeds_have_checkpoints_of_their_own(tmp_path: Path) -> None:
    runs = [(DIGEST, 405, 3), ("cd" * 32, 405, 3), (DIGEST, 406, 3), (DIGEST, 405, 4)]
    checkpoints = [Checkpoint(tmp_path, *run) for run in runs]
    for number, checkpoint in enumerate(checkpoints):
        checkpoint.save({"epoch": number})
    assert [checkpoint.load(CPU) for checkpoint in checkpoints] == [{"epoch": n} for n in range(4)]


@pytest.mark.parametrize("place", [0, 31, 32, -1])
def test_any_byte_that_changed_is_damage(tmp_path: Path, place: int) -> None:
    checkpoint = Checkpoint(tmp_path, DIGEST, 405, 3)
    checkpoint.save({"epoch": 1})
    data = bytearray(checkpoint.path.read_bytes())
    data[place] ^= 1
    checkpoint.path.write_bytes(data)
    with pytest.raises(DamagedCheckpointError, match="is damaged"):
        checkpoint.load(CPU)


@pytest.mark.parametrize("length", [0, 10, 32, 500])
def test_a_file_that_was_cut_is_damage(tmp_path: Path, length: int) -> None:
    checkpoint = Checkpoint(tmp_path, DIGEST, 405, 3)
    checkpoint.save({"epoch": 1})
    checkpoint.path.write_bytes(checkpoint.path.read_bytes()[:length])
    with pytest.raises(DamagedCheckpointError, match="is damaged"):
        checkpoint.load(CPU)


def whole(data: bytes) -> bytes:
    return hashlib.sha256(data).digest() + data


def saved(value: object) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream)
    return whole(stream.getvalue())


def laughing(levels: int) -> list[object]:
    """Ten lists that are one, of ten lists that are one: a few hundred bytes of a pickle."""
    found: list[object] = [1]
    for _ in range(levels):
        found = [found] * 10
    return found


KEY = f"{DIGEST[:16]}-405-3"
STATE = {"epoch": 1}
FOREIGN = {
    "nothing": whole(b""),
    "a text": whole(b"not torch's"),
    "a pickle that would run": whole(pickle.dumps(print)),
    "a tensor": saved(torch.zeros(3)),
    "a list": saved([1, 2]),
    "without a key": saved({"state": STATE}),
    "without a state": saved({"key": KEY}),
    "another state": saved({"key": KEY, "state": [1]}),
    "an epoch in words": saved({"key": KEY, "state": {"epoch": "one"}}),
    "an epoch before the first": saved({"key": KEY, "state": {"epoch": -1}}),
    "an epoch of lists within lists": saved({"key": KEY, "state": {"epoch": laughing(12)}}),
    "no epoch": saved({"key": KEY, "state": {}}),
    "half of a zip": whole(saved({"key": KEY, "state": STATE})[32:200]),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_whole_file_that_is_not_ours_is_told_apart_from_damage(name: str, tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path, DIGEST, 405, 3)
    checkpoint.path.write_bytes(FOREIGN[name])
    with pytest.raises(ForeignCheckpointError, match="is whole, but another program, or another version"):
        checkpoint.load(CPU)


def test_a_pipe_in_place_of_a_checkpoint_is_a_sentence(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path, DIGEST, 405, 3)
    os.mkfifo(checkpoint.path)
    with pytest.raises(ForeignCheckpointError, match="is a pipe"):
        checkpoint.load(CPU)
