"""Checkpoints and recipes that lie."""

from __future__ import annotations

import hashlib
import io
import random
import tempfile
import tomllib
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from bloxdb.trainer.checkpoint import Checkpoint, DamagedCheckpointError, ForeignCheckpointError
from bloxdb.trainer.images import DataSet, Split
from bloxdb.trainer.loop import Training
from bloxdb.trainer.recipe import TrainingRecipe, default_recipe, make_recipe

from bloxdb import space
from bloxdb.errors import QueryError
from tests.codecs.reference import WrongError
from tests.fuzz.mutations import flipped
from tests.fuzz.targets import Target

_FIELDS = (*TrainingRecipe.__dataclass_fields__, "name", "x", "a.b", '"data seed"', "called")
_VALUES = (
    *(
        "0",
        "1",
        "-1",
        "3",
        "0.5",
        "-0.0",
        "inf",
        "nan",
        "1e400",
        "1e-400",
        "true",
        "false",
        "''",
        "'fp32'",
        "'bf16'",
    ),
    *(
        "'digits'",
        "'cifar100'",
        "'../x'",
        "'corner'",
        "'paper'",
        "'run'",
        "[]",
        "[1]",
        "{}",
        "{a = 1}",
        "2026-01-02",
    ),
    *(
        "9" * 30,
        "9" * 5000,
        "0x10",
        "1_000",
        '"""\nx"""',
        '"\\u0000"',
        "'" + "x" * 300 + "'",
        "12:30:00",
        "*",
        "",
    ),
)


class RecipeFile(Target):
    """Recipes in TOML."""

    NAME: ClassVar[str] = "recipe"
    SUFFIX: ClassVar[str] = ".toml"

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._path = Path(self._folder.name) / "recipe.toml"

    def case(self, draw: random.Random) -> bytes:
        """Fields of the recipe and others, with values by grammar."""
        lines = [
            f"{draw.choice(_FIELDS)} = {draw.choice(_VALUES)}" for _ in range(draw.choice((0, 1, 1, 2, 3, 5)))
        ]
        if draw.random() < 0.1:
            lines.insert(0, draw.choice(("[table]", "[[x]]", "# x", "\ufeff", "x", "[" * 300)))
        data = "\n".join(lines).encode()
        return flipped(draw, data) if draw.random() < 0.2 else data

    def judge(self, data: bytes) -> bool:
        """What is taken has the values that the file says, and a name and a digest."""
        self._path.write_bytes(data)
        try:
            found = make_recipe(None, self._path, {})
        except QueryError as error:
            if not 0 < len(str(error)) < 2000:
                raise WrongError(f"a sentence of {len(str(error))} characters") from error
            return False
        for name, value in tomllib.loads(data.decode()).items():
            taken = getattr(found, {"name": "called"}.get(name, name))
            if taken != (None if (name, value) == ("data_seed", "run") else value):
                raise WrongError(f"{name} is {taken!r}, not {value!r}")
        if not found.name or len(found.digest) != 64:
            raise WrongError("it has no name")
        return True


class CheckpointFile(Target):
    """Checkpoints: the parts of a state that are left out, of another type, shape or version."""

    NAME: ClassVar[str] = "checkpoint"
    SUFFIX: ClassVar[str] = ".pt"

    def __init__(self) -> None:
        torch.set_num_threads(1)
        self._folder = tempfile.TemporaryDirectory()
        self._checkpoint = Checkpoint(Path(self._folder.name), "ab" * 32, 405, 3)
        draw = torch.Generator().manual_seed(0)
        images = torch.randint(0, 256, (8, 3, 8, 8), dtype=torch.uint8, generator=draw)
        split = Split(images, torch.arange(8) % 10)
        data = DataSet("digits", 10, (0.5,) * 3, (0.5,) * 3, split, split, split)
        smallest = int(np.argmin(space.all_costs()[:, 1]))
        self._training = Training(space.arch_vec(smallest), default_recipe("digits"), data, 3)
        self._training.train_epoch()
        self._state = self._training.state()

    def case(self, draw: random.Random) -> bytes:
        """A whole file by its checksum, mostly."""
        loaded: Any = {"key": self._checkpoint.key, "state": self._changed(draw, self._state, 0)}
        if draw.random() < 0.1:
            loaded = self._changed(draw, loaded, 0)
        stream = io.BytesIO()
        torch.save(loaded, stream, _use_new_zipfile_serialization=draw.random() < 0.9)
        data = stream.getvalue()
        if draw.random() < 0.2:
            data = flipped(draw, data)
        whole = hashlib.sha256(data).digest() + data
        return flipped(draw, whole) if draw.random() < 0.05 else whole

    def _changed(self, draw: random.Random, value: Any, depth: int) -> Any:
        """A dict in which one entry is other, somewhere."""
        found = dict(value)
        name = draw.choice(list(found))
        inner = found[name]
        if isinstance(inner, dict) and inner and depth < 4 and draw.random() < 0.7:
            found[name] = self._changed(draw, inner, depth + 1)
        elif draw.random() < 0.2:
            del found[name]
        elif isinstance(inner, torch.Tensor) and draw.random() < 0.7:
            found[name] = draw.choice((inner.double(), inner.flatten()[:1], inner[None], inner.clone()))
        else:
            other = (None, 0, 1, -1, 2**70, 1.5, float("nan"), "x", [], [1], {}, (), True, torch.zeros(2))
            found[name] = _within(draw.choice(other), draw.choice((0, 0, 0, 1, 3, 30)))
        return found

    def judge(self, data: bytes) -> bool:
        """What is taken can be gone on from."""
        self._checkpoint.path.write_bytes(data)
        try:
            state = self._checkpoint.load(torch.device("cpu"))
        except (DamagedCheckpointError, ForeignCheckpointError) as error:
            if not 0 < len(str(error)) < 1000:
                raise WrongError(f"a sentence of {len(str(error))} characters") from error
            return False
        if state is None:
            raise WrongError("a checkpoint that is there counts as none")
        if self._training.misfit(state):
            return False
        self._training.restore(state)
        torch.set_num_threads(1)
        return True


def _within(value: object, levels: int) -> object:
    """A value in lists that hold one another ten times: much to look at, and few bytes."""
    for _ in range(levels):
        value = [value] * 10
    return value
