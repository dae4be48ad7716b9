"""Data sets of one's own: files and functions, what is wrong with them, and that they stay the same."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bloxdb.trainer import load_data
from bloxdb.trainer.augment import normalise
from bloxdb.trainer.data import load_digits
from bloxdb.trainer.recipe import TrainingRecipe, make_recipe
from bloxdb.trainer.worker import data_of

import bloxdb
from bloxdb import Database
from bloxdb.errors import BloxError
from tests.trainer.helpers import QUICK, ROOT, ask, digits_recipe, job, train


def some(
    count: int = 40, side: int = 8, channels: int = 3, classes: int = 4, seed: int = 0
) -> dict[str, Any]:
    draw = np.random.default_rng(seed)
    return {
        "images": draw.integers(0, 256, (count, side, side, channels), dtype=np.uint8),
        "labels": np.arange(count) % classes,
        "splits": np.array(["train", "train", "val", "test"])[np.arange(count) // classes % 4],
    }


def saved(path: Path, **changes: Any) -> str:
    np.savez(path, **some() | changes)
    return str(path)


def recipe_for(source: str, **changes: Any) -> TrainingRecipe:
    data = load_data(source)
    return make_recipe(data.name, None, {"epochs": 1, "data_digest": data.digest, **changes})


def test_a_file_is_a_data_set_as_it_says(tmp_path: Path) -> None:
    given = some()
    data = load_data(saved(tmp_path / "flowers.npz"))
    assert (data.name, data.classes, data.sizes) == ("flowers", 4, (24, 8, 8))
    for name in ("train", "val", "test"):
        mine, split = given["splits"] == name, getattr(data, name)
        assert np.array_equal(split.images.permute(0, 2, 3, 1).numpy(), given["images"][mine])
        assert split.labels.tolist() == given["labels"][mine].tolist()
        assert (split.images.dtype, split.labels.dtype) == (torch.uint8, torch.int64)
    images = normalise(data.train.images, data)
    assert images.mean((0, 2, 3)).tolist() == pytest.approx([0] * 3, abs=1e-5)
    assert images.std((0, 2, 3), correction=0).tolist() == pytest.approx([1] * 3, abs=1e-5)


def test_grey_images_have_three_equal_channels(tmp_path: Path) -> None:
    data = load_data(saved(tmp_path / "grey.npz", **some(channels=1)))
    assert data.train.images.shape == (24, 3, 8, 8)
    assert torch.equal(data.train.images[:, 0], data.train.images[:, 2])
    assert data.mean[0] == data.mean[2]


def test_a_function_gives_the_same_and_has_its_address_as_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / "flowers.npz")
    Path("my_flowers.py").write_text("import numpy\ndef load(): return dict(numpy.load('flowers.npz'))\n")
    function, file = load_data("my_flowers:load"), load_data("flowers.npz")
    assert function.name == "my_flowers:load"
    assert function.digest == file.digest
    assert function.digest != load_data(saved(tmp_path / "flowers.npz", **some(seed=1))).digest


@pytest.mark.parametrize("what", ["images", "labels", "splits"])
def test_whatever_changes_changes_the_digest(tmp_path: Path, what: str) -> None:
    given = some()
    changed = {
        "images": given["images"].copy(),
        "labels": given["labels"][::-1],
        "splits": given["splits"][::-1],
    }
    changed["images"][0, 0, 0, 0] ^= 1
    first = load_data(saved(tmp_path / "a.npz")).digest
    assert load_data(saved(tmp_path / "a.npz", **{what: changed[what]})).digest != first


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "floats": ({"images": np.zeros((40, 8, 8, 3))}, "must be uint8 of shape .* not float64 of (40, 8, 8, 3)"),
    "NCHW": ({"images": np.zeros((40, 3, 8, 8), np.uint8)}, "must be uint8 of shape .* not uint8 of (40, 3"),
    "small": ({"images": np.zeros((40, 7, 9, 3), np.uint8)}, "must have 8 x 8 pixels or more, not 7 x 9"),
    "one value": (
        {"images": np.ones((40, 8, 8, 3), np.uint8)},
        "channel 0 of .* has one value in all images",
    ),
    "few labels": ({"labels": np.arange(39)}, "labels of .* must be 40 integers, one an image"),
    "real labels": ({"labels": np.ones(40)}, "labels of .* must be 40 integers, .* not float64"),
    "a label below 0": (
        {"labels": np.arange(40) % 4 - (np.arange(40) == 7) * 9},
        "label 7 of .* is -6; labels",
    ),
    "a huge label": ({"labels": np.arange(40) * 1000}, "label 1 of .* is 1000; labels are 0 … 999"),
    "a gap": ({"labels": np.arange(40) % 2 * 2}, "go to 2, but no image has 1; count without gaps"),
    "one class": ({"labels": np.zeros(40, int)}, "must be of two classes or more"),
    "a strange split": ({"splits": np.array(["train"] * 39 + ["dev"])}, "split 39 of .* is 'dev'; choose of"),
    "numbers as splits": ({"splits": np.zeros(40, int)}, "must be 40 texts, one an image, not int64"),
    "no test": ({"splits": np.array(["train", "val"] * 20)}, "splits of .* give no image to 'test'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, case: str) -> None:
    changes, told = WRONG[case]
    told = re.escape(told).replace(r"\.\*", ".*")
    with pytest.raises(bloxdb.QueryError, match=told) as caught:
        load_data(saved(tmp_path / "flowers.npz", **changes))
    assert str(tmp_path / "flowers.npz") in str(caught.value)


def test_what_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("some_module.py").write_text("def number(): return 3\ndef arrays(): return {'images': 1}\n")
    Path("text.npz").write_text("no file of NumPy")
    np.save(Path("one.npy"), np.zeros(3))
    Path("one.npy").rename("one.npz")
    for source, told in {
        "flowers.npz": "there is no file flowers.npz to train on",
        "text.npz": "text.npz cannot be read as an .npz file of NumPy",
        "one.npz": "one.npz is a single array; write it with numpy.savez",
        "no_module:load": "there is no module 'no_module'",
        "some_module:load": "the module 'some_module' has no 'load'",
        "some_module:number": "must give a dict of images, labels, splits, not int",
        "some_module:arrays": "has no labels and no splits; it must give images, labels, splits",
        "digits.npz": "would be called 'digits', which is another data set; rename the file",
        "imagenet": "there is no data set 'imagenet'; choose one of: cifar100, cifar10, digits",
        ".npz": "the name of a data set has 1",
    }.items():
        with pytest.raises(BloxError, match=told):
            load_data(source)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("part", range(4))
def test_a_damaged_file_is_told_wherever_it_is_damaged(tmp_path: Path, save: Any, part: int) -> None:
    path, draw, told = tmp_path / "flowers.npz", np.random.default_rng(part), 0
    save(path, **some(side=16) | {"images": some(side=16)["images"] // 64})
    whole = path.read_bytes()
    around = [place.start() for place in re.finditer(b"PK", whole)]  # what a zip says of its files
    places = [start + offset for start in around for offset in range(60)]
    for at in [*places, *draw.integers(0, len(whole), 100).tolist()][part::4]:
        if at < len(whole):
            path.write_bytes(whole[:at] + bytes([draw.integers(256)]) + whole[at + 1 :])
            try:
                load_data(str(path))
            except BloxError as error:
                assert str(path) in str(error)
                told += 1
    path.write_bytes(whole[: draw.integers(1, len(whole) - 1)])
    with pytest.raises(bloxdb.MissingDataError, match="cannot be read as an .npz file of NumPy: ."):
        load_data(str(path))
    assert told > 20


VIEWS: dict[str, Callable[[Any], Any]] = {
    "with negative strides": lambda array: np.flip(np.flip(array).copy()),
    "in Fortran's order": np.asfortranarray,
    "read-only": lambda array: np.frombuffer(array.tobytes(), array.dtype).reshape(array.shape),
    "every other one": lambda array: np.repeat(array, 2, axis=0)[::2],
    "of the other byte order": lambda array: array.astype(array.dtype.newbyteorder()),
    "a list": lambda array: array.tolist() if array.dtype != np.uint8 else array,
    "a masked array without masks": np.ma.asarray,
    "a subclass": lambda array: array.view(Subclass),
    "a tensor": lambda array: torch.from_numpy(array) if array.dtype.kind != "U" else array,
}


class Subclass(np.ndarray[Any, Any]):
    """An array of a library."""


@pytest.mark.parametrize("name", VIEWS)
def test_whatever_array_a_function_gives_is_the_same_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Subclass, "given", {}, raising=False)
    given = some()
    shown = {key: VIEWS[name](array) for key, array in given.items()}
    Subclass.given = shown  # type: ignore[attr-defined]
    Path("of_views.py").write_text(
        "from tests.trainer.test_own_data import Subclass\ndef load(): return Subclass.given\n"
    )
    found, expected = load_data("of_views:load"), load_data(saved(tmp_path / "flowers.npz", **given))
    assert found.digest == expected.digest
    assert torch.equal(found.train.images, expected.train.images)
    assert torch.equal(found.test.labels, expected.test.labels)


OF_ONES_OWN = {
    "import numpy\nnumpy.no_such_thing": "the module 'own_code' cannot be imported: AttributeError: .*own_code.py, line 2",
    "1 / 0": "cannot be imported: ZeroDivisionError: division by zero .*own_code.py, line 1",
    "def load(:": "the module 'own_code' cannot be imported: SyntaxError",
    "import no_such_module": "there is no module 'no_such_module' in ",
    "from os import no_such_thing": "cannot be imported: ImportError: .*own_code.py, line 1",
    "load = 3": "'load' of the module 'own_code' is no function",
    "other = 3": "the module 'own_code' has no 'load'",
    "def load(folder): return {}": "'load' fails: TypeError: .*missing 1 required",
    "def load():\n  return {}['images']": "'load' fails: KeyError: 'images' .*own_code.py, line 2",
    "def load(): raise ValueError": "'load' fails: ValueError: ValueError",
    "def load(): import no_such_module": "there is no module 'no_such_module' in ",
    "def load(): return dict(images=[[1], [1, 2]], labels=1, splits=1)": "images of .* cannot be made an array: ",
    "import torch\ndef load(): return dict(images=torch.zeros(1, device='meta'), labels=1, splits=1)": "images of .* cannot be made an array: ",
    "import numpy\ndef load(): return dict(images=numpy.ma.array([1, 2], mask=[1, 0]), labels=1, splits=1)": "images of .*: some of its values are masked",
    "def __getattr__(name): raise RuntimeError(name)": "does not give 'load': RuntimeError: load .*own_code.py, line 1",
    "import sys\ndef load(): sys.exit(3)": "'load' fails: SystemExit: 3 .*own_code.py, line 2",
    "class Lazy(dict):\n  def __getitem__(self, name): raise OSError(name)\ndef load(): return Lazy(images=1)": "'load' fails: OSError: images .*own_code.py, line 2",
    "def load(): return dict(images=object(), labels=1, splits=1)": "images of .* must be uint8 .*, not object",
}


@pytest.mark.parametrize("code", OF_ONES_OWN)
def test_what_fails_in_code_of_ones_own_is_said_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "own_code", raising=False)
    Path("own_code.py").write_text(code + "\n")
    before = [*sys.path]
    with pytest.raises(BloxError, match=OF_ONES_OWN[code]) as caught:
        load_data("own_code:load")
    assert "own_code:load" in str(caught.value)
    assert sys.path == before


def test_two_files_of_one_name_are_two_recipes_and_a_changed_one_is_refused(
    empty_db: Database, tmp_path: Path
) -> None:
    source = saved(tmp_path / "flowers.npz", **some(seed=0))
    first = recipe_for(source)
    assert first.name == "flowers-1"
    assert train(job(empty_db, [QUICK], first, source=source))[0]
    (row,) = empty_db.reader.query(bloxdb.Recipe)
    assert (row.name, row.dataset, row.config["data_digest"]) == ("flowers-1", "flowers", first.data_digest)
    assert (row.train_images, row.val_images, row.test_images) == (24, 8, 8)
    saved(tmp_path / "flowers.npz", **some(seed=1))
    with pytest.raises(
        bloxdb.QueryError, match="not the data set that the recipe was made for: .*file changed"
    ):
        data_of(job(empty_db, [QUICK], first, source=source))
    second = recipe_for(source)
    assert second.digest != first.digest
    with pytest.raises(bloxdb.ReleaseError, match=r"another recipe named flowers-1 already \(data_digest "):
        train(job(empty_db, [QUICK], second, source=source))
    assert train(job(empty_db, [QUICK], recipe_for(source, called="flowers, again"), source=source))[0]
    assert ask(Path(str(empty_db.path)), "SELECT name FROM recipes ORDER BY id") == [
        ("flowers-1",),
        ("flowers, again",),
    ]


def test_a_changed_file_is_noticed_whatever_else_the_recipe_says(empty_db: Database, tmp_path: Path) -> None:
    source = saved(tmp_path / "flowers.npz")
    assert train(job(empty_db, [QUICK], recipe_for(source, lr=0.5), source=source))[0]
    saved(tmp_path / "flowers.npz", **some(seed=1))
    with pytest.raises(bloxdb.QueryError, match="is not the one that the runs of flowers-1-.* have"):
        train(job(empty_db, [QUICK], recipe_for(source, lr=0.5), source=source))


@pytest.mark.slow
def test_the_digits_as_a_file_train_as_the_digits_do(empty_db: Database, tmp_path: Path) -> None:
    data = load_digits()
    parts = [getattr(data, name) for name in ("train", "val", "test")]
    source = saved(
        tmp_path / "mine.npz",
        images=torch.cat([part.images for part in parts]).permute(0, 2, 3, 1).numpy(),
        labels=torch.cat([part.labels for part in parts]).numpy(),
        splits=np.repeat(["train", "val", "test"], [len(part) for part in parts]),
    )
    mine = load_data(source)
    assert (mine.mean, mine.std) == (pytest.approx(data.mean), pytest.approx(data.std))
    assert torch.equal(mine.val.images, data.val.images)
    settings = {
        name: value for name, value in digits_recipe(1).config().items() if name not in ("dataset", "epochs")
    }
    recipe = recipe_for(
        source, shear="corner", init_order="cells", data_seed=None, **settings | {"batch": 64}
    )
    assert train(job(empty_db, [QUICK], recipe, source=source))[0]
    assert train(job(empty_db, [QUICK], digits_recipe(1)))[0]
    one, other = empty_db.rows("SELECT val_top1, test_top1 FROM runs")
    assert one["test_top1"] == pytest.approx(other["test_top1"], abs=2)


def test_the_example_of_the_documents_runs(
    empty_db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "docs" / "training.md").read_text()
    (example,) = (code for code in re.findall(r"```python\n(.+?)```", text, re.DOTALL) if "savez" in code)
    monkeypatch.chdir(tmp_path)
    exec(example, {})
    (file,) = tmp_path.glob("*.npz")
    assert train(job(empty_db, [QUICK], recipe_for(file.name), source=file.name))[0]
