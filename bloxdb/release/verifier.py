"""Does every file of a folder load, and do its formats tell the same?"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

from bloxdb import codecs
from bloxdb.codecs import Table
from bloxdb.counts import Counts
from bloxdb.errors import BloxFormatError, ReleaseError
from bloxdb.release.folder import packings, release_files, steady
from bloxdb.release.names import check_name
from bloxdb.release.tally import counts_of


@dataclass(frozen=True)
class LoadedFile:
    """One file: how many seconds it took, its rows and what they tell, or what is wrong with it."""

    path: Path
    seconds: float
    rows: int | None
    problem: str | None
    counts: Counts = field(default_factory=Counts)


@dataclass(frozen=True)
class FormatCheck:
    """One format: `compared` files of it stand there in another format too; how they differ."""

    format: str
    compared: int
    differences: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether all its files equal the others'."""
        return not self.differences


def verify_release(
    folder: str | PathLike[str], on_file: Callable[[LoadedFile], None] | None = None
) -> tuple[list[LoadedFile], list[FormatCheck]]:
    """Load every file of a folder, and compare each format with the others.

    Row order does not matter. Packings of one file are each loaded, and compared too. `on_file` is called as
    each file is loaded. At the most one table of each format is in memory, and one more.

    Raises
    ------
    ReleaseError
        There is no such folder, no release file in it, or one was changed meanwhile.
    """
    with steady([folder]) as check:
        found = _verified(folder, on_file)
        check()
    return found


def _verified(
    folder: str | PathLike[str], on_file: Callable[[LoadedFile], None] | None
) -> tuple[list[LoadedFile], list[FormatCheck]]:
    loaded: list[LoadedFile] = []
    compared = dict.fromkeys(codecs.FORMATS, 0)
    differences: dict[str, list[str]] = {name: [] for name in codecs.FORMATS}
    present = set()
    for stem, paths in release_files(folder).items():
        present |= set(paths)
        tables: dict[str, Table] = {}
        for name, path in paths.items():
            for one in (path, *packings(path)):
                file, table = _load(one)
                loaded.append(file)
                if on_file is not None:
                    on_file(file)
                if table is None:
                    differences[name].append(f"{one.name} does not load")
                    continue
                table = table.sorted()
                difference = tables.setdefault(name, table).difference(table)
                if difference is not None:
                    differences[name].append(f"{path.name} and {one.name} differ: {difference}")
        for name, table in tables.items():
            others = [other for other in tables if other != name]
            compared[name] += bool(others)
            for other in others:
                difference = table.difference(tables[other])
                if difference is not None:
                    differences[name].append(f"{stem}: .{name} and .{other} differ: {difference}")
    checks = [
        FormatCheck(name, compared[name], tuple(differences[name]))
        for name in codecs.FORMATS
        if name in present
    ]
    return loaded, checks


def _load(path: Path) -> tuple[LoadedFile, Table | None]:
    start = time.perf_counter()
    try:
        table = codecs.read(path)
        check_name(path, table.header)
    except (BloxFormatError, ReleaseError) as error:
        return LoadedFile(path, time.perf_counter() - start, None, str(error)), None
    seconds = time.perf_counter() - start
    return LoadedFile(path, seconds, len(table), None, counts_of(table.header, len(table))), table
