"""The data sets: digits, and CIFAR read from files in CIFAR's own layout."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.datasets as sklearn_datasets
import torch
from bloxdb.trainer import data
from bloxdb.trainer.data import load_data, load_digits
from bloxdb.trainer.vision import torchvision

from bloxdb import MissingDataError

torchvision()
from torchvision import datasets  # noqa: E402


def test_digits_are_split_once_and_for_all() -> None:
    digits, again = load_digits(), load_digits()
    assert [len(split) for split in (digits.train, digits.val, digits.test)] == [1257, 180, 360]
    assert digits.train.images.shape == (1257, 3, 8, 8)
    assert digits.train.images.dtype == torch.uint8
    assert torch.equal(digits.train.images[:, 0], digits.train.images[:, 2])
    assert (int(digits.train.images.min()), int(digits.train.images.max())) == (0, 255)
    assert torch.equal(digits.val.images, again.val.images)
    scaled = digits.train.images[:, 0].double() / 255
    known = digits.mean[0], digits.std[0]
    assert (scaled.mean().item(), scaled.std().item()) == pytest.approx(known, abs=1e-4)


@pytest.mark.parametrize("place", [data._DIGITS, "nowhere.csv.gz"])
def test_digits_are_those_of_scikit_learn_with_its_file_and_without(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "_DIGITS", place)
    levels, classes = data._digits()
    known = sklearn_datasets.load_digits()
    assert np.array_equal(levels, known.images)
    assert np.array_equal(classes, known.target)
    assert classes.dtype == np.int64


class Cifar:
    """A small data set in the layout of CIFAR-10 or CIFAR-100, whose checksums torchvision is told."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, name: str, train: int, test: int) -> None:
        self.reader: Any = getattr(datasets, name)
        self.folder = root / self.reader.base_folder
        self.folder.mkdir(parents=True)
        self.label = "labels" if name == "CIFAR10" else "fine_labels"
        draw = np.random.default_rng(0)
        self.pixels = draw.integers(0, 256, (train + test, 3072), dtype=np.uint8)
        self.labels = draw.integers(0, 10, train + test).tolist()
        files = self.reader.train_list
        bounds = np.linspace(0, train, len(files) + 1).astype(int)
        train_list = [
            [file, self.write(file, int(a), int(b))]
            for (file, _), a, b in zip(files, bounds[:-1], bounds[1:], strict=True)
        ]
        (test_file, _) = self.reader.test_list[0]
        names = [f"class {i}" for i in range(10)]
        meta = dict(self.reader.meta)
        meta["md5"] = self.dump(meta["filename"], {meta["key"]: names})
        monkeypatch.setattr(self.reader, "train_list", train_list)
        monkeypatch.setattr(
            self.reader, "test_list", [[test_file, self.write(test_file, train, train + test)]]
        )
        monkeypatch.setattr(self.reader, "meta", meta)

    def write(self, file: str, first: int, last: int) -> str:
        return self.dump(file, {"data": self.pixels[first:last], self.label: self.labels[first:last]})

    def dump(self, file: str, content: dict[str, Any]) -> str:
        data = pickle.dumps(content, protocol=2)
        (self.folder / file).write_bytes(data)
        return hashlib.md5(data).hexdigest()


@pytest.mark.parametrize(("name", "classes"), [("CIFAR100", 100), ("CIFAR10", 10)])
def test_cifar_is_read_and_split_as_in_the_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, classes: int
) -> None:
    files = Cifar(tmp_path, monkeypatch, name, train=60, test=20)
    data = load_data(name.lower(), folder=tmp_path)
    assert [len(split) for split in (data.train, data.val, data.test)] == [54, 6, 20]
    assert data.classes == classes
    np.random.seed(0)  # as the release says it
    order = np.random.permutation(60)
    expected = files.pixels[order].reshape(-1, 3, 32, 32)
    assert np.array_equal(data.train.images.numpy(), expected[:54])
    assert np.array_equal(data.val.images.numpy(), expected[54:])
    assert np.array_equal(data.test.images.numpy(), files.pixels[60:].reshape(-1, 3, 32, 32))
    assert data.train.labels.tolist() == [files.labels[i] for i in order[:54]]


def test_a_data_set_that_is_not_there_is_a_sentence_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="bloxdb train --dataset cifar100 --data-dir .* --download"):
        load_data("cifar100", folder=tmp_path)


def test_a_damaged_data_set_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = Cifar(tmp_path, monkeypatch, "CIFAR100", train=20, test=10)
    with (files.folder / "train").open("ab") as stream:
        stream.write(b"!")
    with pytest.raises(MissingDataError, match="no undamaged CIFAR100"):
        load_data("cifar100", folder=tmp_path)
