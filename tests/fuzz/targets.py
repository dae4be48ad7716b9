"""What is lied to: each target makes a case from a generator, and judges what became of it.

A case is the bytes of a file. `judge` gives whether the file was taken; whatever else it raises than the
refusal that is due is a fault, and so is a value that the file does not say.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from io import BytesIO
from typing import Any, ClassVar

from bloxdb import codecs
from bloxdb.codecs import Table
from bloxdb.codecs import header as headers
from bloxdb.codecs.bloxtypes import parse_types
from bloxdb.codecs.header import FileHeader
from bloxdb.errors import BloxFormatError
from tests.codecs import reference
from tests.fuzz import mutations, oracles
from tests.fuzz.seeds import seeds


class Target(ABC):
    """A reader to lie to.

    Attributes
    ----------
    NAME
        What it is called by.
    SUFFIX
        How its files end.
    SECONDS
        How long a case may take.
    """

    NAME: ClassVar[str]
    SUFFIX: ClassVar[str]
    SECONDS: ClassVar[int] = 5

    @abstractmethod
    def case(self, draw: random.Random) -> bytes:
        """A file that lies, or does not."""

    @abstractmethod
    def judge(self, data: bytes) -> bool:
        """Read it; whether it was taken. What it raises is a fault."""


class Reader(Target):
    """A format of release files."""

    _LIES: ClassVar[dict[str, Callable[[random.Random, Any], bytes]]] = {
        "blox": mutations.blox,
        "pickle": mutations.pickled,
        "csv": mutations.csv_text,
    }

    def __init__(self, format: str) -> None:
        self.NAME = format  # type: ignore[misc]
        self.SUFFIX = f".{format}"  # type: ignore[misc]
        self._lie = self._LIES[format]
        self._codec = codecs.FORMATS[format]
        self._known = {seed.head: seed.header for seed in seeds(format)}

    def case(self, draw: random.Random) -> bytes:
        """The body lies, seldom the header, seldom both; sometimes it is the header of another file."""
        seed = draw.choice(seeds(self.NAME))
        what = draw.randrange(40)
        body = seed.body if what == 0 else self._lie(draw, seed)
        if what == 1:
            return draw.choice(seeds(self.NAME)).head + body
        if what == 2 or what == 0:
            return mutations.header(draw, seed.head) + body
        return seed.head + body

    def judge(self, data: bytes) -> bool:
        """A header that is known is not parsed again: that takes ten times as long as all the rest."""
        size = data.find(b"\n---\n", 4) + 5
        known = self._known.get(data[:size])
        try:
            if known is None:
                table = codecs.decode(data, source="lies")
                known = headers.parse(data[: headers.LOOK])
                self._check_header(data[: known.size], known)
            else:
                table = self._codec.decode(known.header, known.column_types, BytesIO(data[size:]))
        except BloxFormatError as error:
            if not str(error) or len(str(error)) > 2000:
                raise reference.WrongError(f"a sentence of {len(str(error))} characters") from error
            return False
        self._check(table, known, data[known.size :])
        return True

    def _check(self, table: Table, known: FileHeader, body: bytes) -> None:
        head = table.header
        epochs = head.epochs or 0
        expected: list[list[Any]] | None
        if self.NAME == "blox":
            types = {name: str(kind) for name, kind in parse_types(head, known.column_types or {}).items()}
            expected = reference.blox_rows(body, types, epochs)
        elif self.NAME == "pickle":
            expected = oracles.pickle_rows(body, head.columns)
        else:
            expected = oracles.csv_rows(body, head.columns)
        oracles.check_rows(table.rows(), head.columns, epochs)
        if expected is None:
            return
        oracles.check_rows(expected, head.columns, epochs)
        if not reference.same(table.rows(), expected):
            raise reference.WrongError(f"read {table.rows()!r:.200} for {expected!r:.200}")

    def _check_header(self, data: bytes, known: FileHeader) -> None:
        told, head = oracles.mapping_of(data), known.header
        for name in ("dataset_type", "seed", "epochs", "dataset", "part", "device"):
            value = getattr(head, name)
            if (None if value is None else str(value)) != told.get(name):
                raise reference.WrongError(f"{name} is {value!r}, not {told.get(name)!r}")
        if list(head.columns) != told["columns"] or known.format != told["format"]:
            raise reference.WrongError("columns or format are others")


def targets() -> dict[str, Callable[[], Target]]:
    """What can be lied to, by name; made only where it is asked for, as some need more libraries."""

    def later(module: str, name: str) -> Callable[[], Target]:
        def make() -> Target:
            from importlib import import_module

            made: Target = getattr(import_module(f"tests.fuzz.{module}"), name)()
            return made

        return make

    return {
        "blox": lambda: Reader("blox"),
        "pickle": lambda: Reader("pickle"),
        "csv": lambda: Reader("csv"),
        "recipe": later("training_targets", "RecipeFile"),
        "checkpoint": later("training_targets", "CheckpointFile"),
        "parquet": later("parquet_target", "ParquetFolder"),
    }
