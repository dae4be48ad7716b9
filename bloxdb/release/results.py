"""The original's training results, as files hold them: `results_FIRST_END.pickle`, `results_random.pickle`,
and all of them combined into one.

A file is a pickle of arguments and one of results; `results_random.pickle` has such a pair for each run, each
with all results so far, of which the last counts; a combined file has results alone. What the numbers mean:

- They are rounded as the release is: accuracies to three decimals, losses to six, times to whole seconds.
- The history's first validation is not that of the first epoch: the original kept its best epoch there. It is
  not taken.
- A run that diverged was tested under a fraction of an epoch; a run that ended, under its last epoch.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bloxdb.codecs.header import MAX_EPOCHS
from bloxdb.codecs.opcodes import CutOffError, Span
from bloxdb.counts import Counts, counted
from bloxdb.db.schema import EPOCH_MEASURES
from bloxdb.errors import BloxFormatError
from bloxdb.measures import ENVIRONMENT, EXACT, MISSING, RUN, nearest_stored
from bloxdb.release.names import begins_as_pickle, is_results_name
from bloxdb.release.packings import check_same, contents, packing_of
from bloxdb.release.unpickling import Arguments, build, scan
from bloxdb.space.keys import DIGEST_SIZE, find_arch

_HASH = re.compile(f"[0-9a-fA-F]{{{2 * DIGEST_SIZE}}}")
_TIME = re.compile(r"(?:(\d{1,6}) days?, )?(\d{1,6}):([0-5]\d):([0-5]\d)(?:\.(\d{1,6}))?")
_FIELDS = ("train", "valid", "test", "start", "time", "flops", "params", "env")
_NAMES_AT_MOST = 5  # of those that are told
_METRICS = ("top1", "top5", "loss")
_PARTS = {"train": "train", "valid": "val"}  # theirs and ours
_VALUES_AT_MOST, _TEXT_AT_MOST = 64, 4_096  # of an argument, or of a field of the environment
_VALUE = 4  # bytes of a file that stand for one value at the least

CURVES = tuple(f"{ours}_{metric}" for ours in _PARTS.values() for metric in _METRICS)
"""Measures of epochs, in the order of `ResultsRun.curves`."""

TESTED = tuple(f"test_{metric}" for metric in _METRICS)
"""Measures of runs, in the order of `ResultsRun.tested`."""


_MEASURES = {**RUN, **EPOCH_MEASURES}


@dataclass(frozen=True)
class ResultsRun:
    """One run.

    Attributes
    ----------
    index
        The architecture.
    curves
        Stored integers of `CURVES`, int64 (6, epochs), `MISSING` where there is none.
    tested
        Stored integers of `TESTED`.
    is_whole
        Whether it was tested at the end of its last epoch; otherwise it diverged.
    seconds
        Whole seconds of training and validation.
    flops, params
        What it costs, as the file has it.
    env
        Texts in the order of `ENVIRONMENT`.
    """

    index: int
    curves: npt.NDArray[np.int64]
    tested: npt.NDArray[np.int64]
    is_whole: bool
    seconds: int
    flops: int
    params: int
    env: tuple[str, ...]

    @property
    def epochs(self) -> int:
        """How many epochs it has."""
        return int(self.curves.shape[1])


@dataclass
class ResultsFile:
    """What a file holds.

    Attributes
    ----------
    path
        The file.
    arguments
        The original's arguments; None for a combined file.
    runs
        Those that have results, in the order of architectures.
    without
        Entries that have none: None or {}.
    unfit
        Values that are infinite, or of more digits than a database keeps.
    gaps, with_gaps
        Epochs whose history lacks something, besides the first's validation, and runs that have such.
    besides
        What results have that is not known here, and is not kept; the first few names.
    """

    path: Path
    arguments: dict[str, Any] | None = None
    runs: list[ResultsRun] = field(default_factory=list)
    without: int = 0
    unfit: int = 0
    gaps: int = 0
    with_gaps: int = 0
    besides: list[str] = field(default_factory=list)


def is_results(path: Path) -> bool:
    """Whether a file is a pickle from its first byte on, or an empty one of such a name."""
    return begins_as_pickle(path) or (is_results_name(path) and _is_empty(path))


def _is_empty(path: Path) -> bool:
    try:
        return not contents(path, 1)
    except BloxFormatError:
        return True  # not even its packing can be read, which is told as it is read


def results_in(folder: Path) -> list[Path]:
    """The files of a folder that are named as the original's trainer names them, of each one packing.

    Raises
    ------
    ReleaseError
        Packings of one file differ.
    """
    found: dict[str, Path] = {}
    for path in sorted(path for path in folder.iterdir() if is_results_name(path) and path.is_file()):
        taken = found.setdefault(path.name.partition(".")[0], path)  # first comes the one that is not packed
        if taken is not path:
            check_same(taken, path, lambda one, other: "their bytes are not the same")
    return sorted(found.values(), key=lambda path: [int(n) for n in re.findall(r"\d+", path.name)])


def read_results(path: Path, tell: Callable[[int, int], None] = lambda done, total: None) -> ResultsFile:
    """Read a file without running any of it.

    Parameters
    ----------
    path
        The file.
    tell
        Called with bytes that are done, and all bytes.

    Raises
    ------
    BloxFormatError
        The file is damaged, cut off, or holds something else; the error says where.
    """
    data = contents(path)
    try:
        return _Reading(path, data, tell).file(
            _spans(data, "a copy" if packing_of(path) is None else "an unpacked copy")
        )
    except BloxFormatError as error:
        error.source = error.source or str(path)
        raise


def _spans(data: bytes, copy: str) -> list[Span]:
    """The pickles of a file; a sentence that helps if it is cut off, and says of which copy to cut more."""
    if not data:
        raise BloxFormatError("the file is empty")
    spans: list[Span] = []
    found = scan(data)
    try:
        spans.extend(found)
    except CutOffError as error:
        whole = len(spans) // 2 * 2
        advice = "its job was stopped as it wrote; leave the file out, or take a whole copy of it"
        if whole:
            rest = "of arguments and results before that"
            pairs = counted(whole // 2, f"pair {rest} is whole", f"pairs {rest} are whole")
            advice = f"the {pairs}, and `truncate -s {spans[whole - 1].end}` on {copy} leaves them"
        raise BloxFormatError(f"{error.problem}: {advice}", offset=error.offset) from error
    return spans


class _Reading:
    """One file as it is read."""

    def __init__(self, path: Path, data: bytes, tell: Callable[[int, int], None]) -> None:
        self.data = data
        self.tell = tell
        self.found = ResultsFile(path)
        self.values = 0
        self.is_counted = False

    def file(self, spans: list[Span]) -> ResultsFile:
        """All pickles are built, so that whatever does not belong there is refused; the last pair counts."""
        objects: list[type] = []
        for number, span in enumerate(spans):
            self.is_counted = number == len(spans) - 1
            made = build(self.data, span, self._take)
            objects.append(type(made))
            if type(made) not in (dict, Arguments):
                raise BloxFormatError("neither arguments nor results", offset=span.start)
            if type(made) is Arguments:
                self.found.arguments = _plain_fields(made, span)
        pairs = [Arguments, dict] * (len(objects) // 2)
        if objects not in ([dict], pairs):
            if objects[-1] is Arguments and objects[:-1] == pairs:
                raise BloxFormatError(
                    "the file ends after arguments: its results were not written", offset=spans[-1].start
                )
            raise BloxFormatError("a file holds results, or arguments and results in turn")
        self.found.runs.sort(key=lambda run: run.index)
        for one, next_one in zip(self.found.runs, self.found.runs[1:], strict=False):
            if one.index == next_one.index:
                raise BloxFormatError(f"architecture {one.index} has two results")
        return self.found

    def _take(self, key: Any, value: Any, at: int) -> None:
        if not self.is_counted:
            return
        self.tell(at, len(self.data))
        if value is None or value == {}:
            self.found.without += 1
            return
        try:
            self.found.runs.append(self._run(key, value))
        except _WrongError as problem:
            raise BloxFormatError(f"{_shown(key)}: {problem}", offset=at) from problem

    def _run(self, key: Any, value: Any) -> ResultsRun:
        if type(value) is not dict:
            raise _WrongError("a result is a dict, None or {}")
        index = _index(key)
        self._note(value, _FIELDS, "")
        test = _field(value, "test", dict)
        if len(test) != 1:
            raise _WrongError(f"'test' has {counted(len(test), 'entry', 'entries')}, not one")
        [(tested_at, metrics)] = test.items()
        parts = {name: _epochs(_field(value, name, dict), name, tested_at) for name in _PARTS}
        epochs = max((epoch for part in parts.values() for epoch in part), default=0)
        env = _field(value, "env", dict)
        self._note(env, ENVIRONMENT, "env: ")
        for name, part in (*parts.items(), ("test", test)):
            for each in part.values():
                self._note(each, _METRICS, f"{name}: ")
        self.values += len(CURVES) * epochs
        if self.values * _VALUE > len(self.data):
            raise _WrongError("the file says more than its size can hold")
        return ResultsRun(
            index,
            self._curves(parts, epochs),
            self._stored(np.array([_metrics(metrics, "test", "test")]).T, TESTED)[:, 0],
            _is_whole(tested_at, epochs),
            _seconds(_field(value, "time", str)),
            _whole(_field(value, "flops", int, float), "flops"),
            _whole(_field(value, "params", int, float), "params"),
            _environment(env),
        )

    def _note(self, found: Any, known: Collection[str], where: str) -> None:
        """Note the names that are not known here."""
        if type(found) is not dict or found.keys() <= set(known):
            return
        for name in found.keys() - known:
            if len(self.found.besides) >= _NAMES_AT_MOST:
                return
            told = f"{where}{_shown(name)}"
            if told not in self.found.besides:
                self.found.besides.append(told)

    def _curves(self, parts: dict[str, dict[int, Any]], epochs: int) -> npt.NDArray[np.int64]:
        values = np.full((len(CURVES), epochs), np.nan)
        for first, (name, part) in zip((0, len(_METRICS)), parts.items(), strict=True):
            for epoch, metrics in part.items():
                values[first : first + len(_METRICS), epoch - 1] = _metrics(
                    metrics, _PARTS[name], f"{name}, epoch {epoch}"
                )
        absent = np.isnan(values)
        absent[len(_METRICS) :, :1] = False
        self.found.gaps += int(absent.any(axis=0).sum())
        self.found.with_gaps += int(absent.any())
        values[len(_METRICS) :, :1] = np.nan  # the best epoch's, not the first's
        return self._stored(values, CURVES)

    def _stored(self, values: npt.NDArray[np.float64], names: tuple[str, ...]) -> npt.NDArray[np.int64]:
        stored = np.stack(
            [nearest_stored(row, _MEASURES[name]) for row, name in zip(values, names, strict=True)]
        )
        self.found.unfit += int(((stored == MISSING) & ~np.isnan(values)).sum())
        return stored


class _WrongError(Exception):
    """What is wrong with a result."""


def _shown(key: object) -> str:
    return ascii(key[:40])[1:-1] if type(key) is str else f"a key of type {type(key).__name__}"


def _plain_fields(made: Arguments, span: Span) -> dict[str, Any]:
    fields = made.fields or {}
    for name, value in fields.items():
        flat = value if type(value) in (list, tuple) else [value]
        if type(name) is not str or any(type(one) not in _PLAIN for one in flat) or _is_long(flat):
            raise BloxFormatError(f"argument {_shown(name)} is no plain value", offset=span.start)
    return fields


_PLAIN = (bool, int, float, str, type(None))


def _is_long(values: Sequence[Any]) -> bool:
    """Whether values are too many or texts too long; one long text can stand in a file many times."""
    return len(values) > _VALUES_AT_MOST or any(type(v) is str and len(v) > _TEXT_AT_MOST for v in values)


def _index(key: Any) -> int:
    if type(key) is not str or not _HASH.fullmatch(key):
        raise _WrongError("a result stands under a model hash of 32 hex digits")
    index = find_arch(key)
    if index is None:
        raise _WrongError("this is not the hash of an architecture of Blox")
    return index


def _field(value: dict[Any, Any], name: str, *types: type) -> Any:
    if name not in value:
        raise _WrongError(f"'{name}' is missing")
    if type(value[name]) not in types:
        raise _WrongError(f"'{name}' is of type {type(value[name]).__name__}")
    return value[name]


def _epochs(part: dict[Any, Any], name: str, tested_at: Any) -> dict[int, Any]:
    """A history by epoch, without what is left of the one in which a run stopped."""
    whole = {}
    for epoch, metrics in part.items():
        if type(epoch) is str or not 0 < epoch <= MAX_EPOCHS:
            raise _WrongError(f"'{name}' has an epoch that is none")
        if type(epoch) is int:
            whole[epoch] = metrics
        elif type(tested_at) is not float or epoch != tested_at:
            raise _WrongError(f"'{name}' has epoch {epoch}, where no test is")
    return whole


def _metrics(metrics: Any, part: str, where: str) -> list[float]:
    if type(metrics) is not dict:
        raise _WrongError(f"{where}: metrics are a dict")
    return list(_values(metrics, part, where))


def _values(metrics: dict[Any, Any], part: str, where: str) -> Iterator[float]:
    for name in _METRICS:
        held = metrics.get(name)
        if type(held) is not list or len(held) != 1 or type(held[0]) not in (int, float, type(None)):
            raise _WrongError(f"{where}: '{name}' is not a list of one number")
        value = math.nan if held[0] is None else float(held[0])
        measure = _MEASURES[f"{part}_{name}"]
        if math.isfinite(value):  # what diverged need not be, and is stored as NULL
            problem = measure.problem(measure.kept(value))
            if problem:
                raise _WrongError(f"{where}: the value {value} of '{name}' {problem}")
        yield value


def _is_whole(tested_at: Any, epochs: int) -> bool:
    """Whether a run was tested at its end; a float, even a whole one, says where in an epoch it stopped."""
    if type(tested_at) is float and 0 <= tested_at <= MAX_EPOCHS and abs(tested_at - epochs) <= 1:
        return False
    if epochs == 0 and type(tested_at) is not float:
        raise _WrongError("it was tested, but has no epoch of training or validation")
    if type(tested_at) is float or tested_at != epochs:
        raise _WrongError(
            f"it was tested at epoch {_shown_epoch(tested_at)}, but has {Counts(epochs=epochs)}"
        )
    return True


def _shown_epoch(epoch: Any) -> str:
    return str(epoch) if type(epoch) in (int, float) else "'…'"


def _seconds(text: str) -> int:
    found = _TIME.fullmatch(text)
    if found is None:
        raise _WrongError(f"'time' is not as 1:02:03 or 2 days, 1:02:03, but {text[:40]!a}")
    days, hours, minutes, seconds, fraction = found.groups(default="0")
    passed = timedelta(int(days), int(seconds), int(fraction.ljust(6, "0")), 0, int(minutes), int(hours))
    return round(passed.total_seconds())


def _whole(value: float, name: str) -> int:
    if not 0 <= value < EXACT or value != int(value):
        raise _WrongError(f"'{name}' is {value}, not a whole number")
    return int(value)


def _environment(facts: dict[Any, Any]) -> tuple[str, ...]:
    texts = []
    for name in ENVIRONMENT:
        held = facts.get(name)
        held = [held] if type(held) is str else [] if held is None else held
        if type(held) not in (list, tuple) or any(type(one) is not str for one in held) or _is_long(held):
            raise _WrongError(f"'{name}' of the environment is no text, or too long")
        texts.append(", ".join(held))
    return tuple(texts)
