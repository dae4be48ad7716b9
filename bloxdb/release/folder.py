"""Which files a release has, and whether they belong together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path

from bloxdb import codecs
from bloxdb.codecs import Header
from bloxdb.codecs.header import DEVICE_NAME
from bloxdb.errors import ReleaseError
from bloxdb.release.results import results_in
from bloxdb.files import expanded

_FORMATS = "|".join(codecs.FORMATS)
_NAME = re.compile(rf"(blox-(?:info|base-\d+|ext-\d+|env-\d+|bench-{DEVICE_NAME.pattern}))\.({_FORMATS})")


def release_files(folder: str | PathLike[str]) -> dict[str, dict[str, Path]]:
    """The release files of a folder: stem to format to path, formats in order of preference.

    Raises
    ------
    ReleaseError
        There is no such folder, or no release file in it.
    """
    place = expanded(folder)
    if not place.is_dir():
        raise ReleaseError(f"there is no folder {place}")
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(place.iterdir()):
        match = _NAME.fullmatch(path.name)
        if match and path.is_file():
            found.setdefault(match[1], {})[match[2]] = path
    if not found:
        raise ReleaseError(
            f"{place} holds no release files; they are named blox-info, blox-base-SEED, "
            f"blox-ext-SEED, blox-env-SEED or blox-bench-DEVICE, ending in .{', .'.join(codecs.FORMATS)}"
        )
    return {
        stem: {name: paths[name] for name in codecs.FORMATS if name in paths}
        for stem, paths in sorted(found.items())
    }


def expand(paths: Iterable[str | PathLike[str]]) -> list[Path]:
    """Files as they are, folders as their release files: one format of each, the preferred one."""
    return list(dict.fromkeys(_expand(paths)))


def _expand(paths: Iterable[str | PathLike[str]]) -> Iterator[Path]:
    for place in map(expanded, paths):
        if place.is_dir():
            results = results_in(place)
            yield from results
            if results and not any(_NAME.fullmatch(path.name) for path in place.iterdir()):
                continue
            for formats in release_files(place).values():
                yield next(iter(formats.values()))
        elif place.exists():
            yield place
        else:
            raise ReleaseError(f"there is no file or folder {place}")


def check_agreement(headers: dict[Path, Header]) -> None:
    """Files that are loaded together must be of one data set and one number of epochs."""
    training = {path: head for path, head in headers.items() if head.dataset_type == "training"}
    for path, head in training.items():
        first_path, first = next(iter(training.items()))
        for key in ("dataset", "epochs"):
            if getattr(head, key) != getattr(first, key):
                raise ReleaseError(
                    f"{path} has {key} {getattr(head, key)!r}, but {first_path} has "
                    f"{getattr(first, key)!r}; import them one after the other"
                )
