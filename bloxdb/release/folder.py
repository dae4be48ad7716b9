"""Which files a release has, and whether they belong together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from os import PathLike
from pathlib import Path

from bloxdb import codecs
from bloxdb.codecs import Header
from bloxdb.errors import BloxError, ReleaseError
from bloxdb.files import expanded
from bloxdb.release.names import EXPECTED, looks_taken, parse_name, why_left_out, why_results_are_left_out
from bloxdb.release.packings import check_same, others_of
from bloxdb.release.results import results_in


def release_files(folder: str | PathLike[str]) -> dict[str, dict[str, Path]]:
    """The release files of a folder: stem to format to path, formats in order of preference.

    Of one format, a file as it is comes before a packed one; whoever reads one calls `check_packings`.

    Raises
    ------
    ReleaseError
        There is no such folder, or no release file in it.
    """
    place = _folder(folder)
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(place.iterdir()):
        name = parse_name(path)
        if name is not None and path.is_file():
            same = found.setdefault(name[0], {}).setdefault(name[1], path)
            if same != path:
                raise ReleaseError(f"{same} and {path.name} are both of one device; remove one of them")
    if not found:
        others = "".join(f"; {sentence}" for sentence in left_out([place]))
        raise ReleaseError(f"{place} holds no release files; they are named {EXPECTED}{others}")
    return {stem: _by_format(found[stem]) for stem in sorted(found)}


def _by_format(paths: dict[str, Path]) -> dict[str, Path]:
    """Files by format, out of those by extension."""
    chosen: dict[str, Path] = {}
    for extension, name in codecs.EXTENSIONS.items():
        if extension in paths:
            chosen.setdefault(name, paths[extension])
    return chosen


def packings(path: Path) -> list[Path]:
    """The other packings of a release file that are beside it."""
    return others_of(path, parse_name)


def check_packings(path: Path) -> Path:
    """A release file as it is, whose other packings beside it hold the same table.

    Raises
    ------
    ReleaseError
        One holds another, or is damaged; the error names both.
    """
    for other in packings(path):
        check_same(path, other, _difference)
    return path


def _difference(path: Path, other: Path) -> str | None:
    """Where the tables of two files differ; the order of rows does not count."""
    return codecs.read(path).sorted().difference(codecs.read(other).sorted())


def left_out(places: Iterable[str | PathLike[str]], *, results: bool = True) -> list[str]:
    """What looks like a file to read in these folders and is not taken: a sentence each, which says why.

    Parameters
    ----------
    places
        Folders; anything else has nothing left out.
    results
        Whether training results would be read, too.
    """
    sentences = []
    for place in dict.fromkeys(map(expanded, places)):
        if place.is_dir():
            others = (path for path in sorted(place.iterdir()) if not (parse_name(path) and path.is_file()))
            for path in others:
                sentence = why_left_out(path) or (why_results_are_left_out(path) if results else None)
                sentences += [sentence] if sentence else []
    return sentences


def _folder(folder: str | PathLike[str]) -> Path:
    place = expanded(folder)
    if not place.is_dir():
        raise ReleaseError(f"there is no folder {place}")
    return place


def expand(paths: Iterable[str | PathLike[str]]) -> list[Path]:
    """Files as they are, folders as their release files: one format of each, the preferred one."""
    return list(dict.fromkeys(_expand(paths)))


def _expand(paths: Iterable[str | PathLike[str]]) -> Iterator[Path]:
    for place in map(expanded, paths):
        if place.is_dir():
            results = results_in(place)
            yield from results
            if results and not any(map(parse_name, place.iterdir())):
                continue
            for formats in release_files(place).values():
                yield check_packings(next(iter(formats.values())))
        elif place.exists():
            if not place.name.endswith(tuple(f".{extension}" for extension in codecs.EXTENSIONS)) and (
                sentence := why_left_out(place)
            ):
                raise ReleaseError(f"{place.parent}: {sentence}")
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


@contextmanager
def steady(places: Iterable[str | PathLike[str]]) -> Iterator[Callable[[], None]]:
    """Refuse what was read of files while somebody changed them: of two states that were mixed, nobody knows.

    Parameters
    ----------
    places
        Files, and folders of which the release files and training results count.

    Yields
    ------
    Callable
        To be called when all is read.

    Raises
    ------
    ReleaseError
        A file was changed, removed or added since; also in place of any error that followed from it.
    """
    chosen = [expanded(place) for place in places]
    before = _states(chosen)

    def check() -> None:
        after = _states(chosen)
        for path in sorted(before.keys() | after.keys()):
            if before.get(path) != after.get(path):
                verb = "added" if path not in before else "changed" if path in after else "removed"
                raise ReleaseError(
                    f"{path} was {verb} while it was read; try again when nothing writes there"
                )

    try:
        yield check
    except (BloxError, OSError):
        check()
        raise


def _states(places: list[Path]) -> dict[Path, tuple[int, ...]]:
    """What tells one state of a file from another, of all that would be read."""
    found: dict[Path, tuple[int, ...]] = {}
    for place in places:
        inside = [path for path in place.iterdir() if looks_taken(path)] if place.is_dir() else [place]
        for path in inside:
            with suppress(FileNotFoundError):
                state = path.stat()
                found[path] = (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns)
    return found
