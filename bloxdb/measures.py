"""What is measured: the one list that queries, frames, files, merging, the trainer and the command line read.

A measure is held as an integer of its last decimal wherever that is exact: thousandths of a percent,
millionths of a loss. An integer divided by its scale is the very float that the decimal text gives, because
both numbers are exact and the division rounds correctly; so nothing is lost, and half the memory is saved.

To add a measure, add a line to `MEASURES`. One of a run or an epoch also needs its column in
`bloxdb.db.schema`, a migration, and something that computes it.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from bloxdb.arguments import LARGEST
from bloxdb.errors import BloxFormatError

Array = npt.NDArray[Any]

SEEDS = range(LARGEST + 1)
"""The seeds that a run can have: those that a database, and a header of a file, hold."""

EPOCHS = range(1, 65_536)
"""The numbers that an epoch can have, and how many a run: a list in `.blox` has a length of two bytes."""

MILLI = 1_000
MICRO = 1_000_000

MISSING = int(np.iinfo(np.int64).min)
"""A stored integer that stands for a value that was not measured: NULL in a database, NaN among floats."""

NOT_MEASURED = "write nan where nothing was measured"
"""What is advised where something else stands for it."""

NEEDED = "it cannot be left out; write what was measured, or 0"
"""What is said where nothing stands for a measure that release files need (`Measure.is_needed`)."""

TOO_LONG = "has more digits than the database keeps"

EXACT = 2**53
"""A stored integer is below it: from here on not every integer is a float."""

_NEAR_HALF = 1e-3  # so near to the middle, the product decides wrongly which decimal is the nearer one
_SUFFIXES = {MILLI: "milli", MICRO: "micro"}


@dataclass(frozen=True)
class Measure:
    """Something that is measured.

    Attributes
    ----------
    name
        As it is called everywhere: in release files, queries, frames and objects.
    unit
        ``'percent'``, ``'nats'`` (of a loss), ``'seconds'``, …
    scale
        Stored integers a unit: 1000 for three decimals, 1 for whole numbers.
    higher_is_better
        Which of two values is the better one.
    of
        What has one value of it: a ``'run'``, an ``'epoch'`` of a run, an ``'arch'``, or an architecture on a
        ``'device'``.
    file
        The release file that has it: ``'base'``, ``'ext'``, ``'info'`` or ``'bench'``; None if none has.
    reproducible
        Whether a run that is trained once more has the same value; a time, for one, it has not.
    overwritten
        Whether the original writes the best epoch's value over that of epoch 1, in runs of recipes that say
        so (`bloxdb.overwritten`).
    """

    name: str
    unit: str
    scale: int
    higher_is_better: bool
    of: Literal["run", "epoch", "arch", "device"]
    file: Literal["base", "ext", "info", "bench"] | None = None
    reproducible: bool = True
    overwritten: bool = False

    @property
    def decimals(self) -> int:
        """How many decimals are kept."""
        return len(str(self.scale)) - 1

    @property
    def column(self) -> str:
        """The column of the database that stores it: that of an epoch holds stored integers."""
        if self.of == "epoch":
            return f"{self.name}_{_SUFFIXES[self.scale]}"
        return f"{self.name}_ms" if self.of == "device" else self.name

    def natural(self, stored: int | None) -> float | int | None:
        """One stored integer in the measure's unit, a whole number where no decimals are kept; None stays
        None.
        """
        return stored if stored is None or self.scale == 1 else stored / self.scale

    def keeps(self, value: float) -> bool:
        """Whether the value has no more digits than the database keeps; NaN, which is not measured, is kept
        as such.
        """
        return not abs(value) * self.scale >= EXACT

    @property
    def is_needed(self) -> bool:
        """Whether release files cannot leave it out: no whole number says that nothing was measured."""
        return self.file is not None and self.scale == 1

    @property
    def highest(self) -> float:
        """The highest value that there is: 100 of percent, any finite number of the rest; the lowest is 0."""
        return 100.0 if self.unit == "percent" else sys.float_info.max

    def problem(self, value: float) -> str:
        """What is wrong with a value, as the rest of a sentence; empty for one that there is, or NaN."""
        if math.isinf(value):
            return f"is infinite; {NOT_MEASURED}"
        if not (value < 0 or value > self.highest):
            return ""
        return "is outside 0 … 100 percent" if self.unit == "percent" else "is negative"

    def rounded(self, value: float) -> int:
        """A value that was just measured as the nearest stored integer: the precision of the release."""
        return round(value * self.scale)

    def kept(self, value: float) -> float:
        """A value that was just measured as it is when it comes back: with the decimals that are kept."""
        return self.rounded(value) / self.scale


MEASURES = (
    # in the order in which release files have them; add yours at the end, with file=None
    Measure("val_top1", "percent", MILLI, True, "epoch", "base", overwritten=True),
    Measure("test_top1", "percent", MILLI, True, "run", "base"),
    Measure("train_time_s", "seconds", 1, False, "run", "base", reproducible=False),
    Measure("train_top1", "percent", MILLI, True, "epoch", "ext"),
    Measure("train_loss", "nats", MICRO, False, "epoch", "ext"),
    Measure("train_top5", "percent", MILLI, True, "epoch", "ext"),
    Measure("val_loss", "nats", MICRO, False, "epoch", "ext", overwritten=True),
    Measure("val_top5", "percent", MILLI, True, "epoch", "ext", overwritten=True),
    Measure("test_loss", "nats", MICRO, False, "run", "ext"),
    Measure("test_top5", "percent", MILLI, True, "run", "ext"),
    Measure("params", "trainable parameters", 1, False, "arch", "info"),
    Measure("flops", "multiply-accumulates for one 3x32x32 image", 1, False, "arch", "info"),
    Measure("latency", "milliseconds", MICRO, False, "device", "bench"),
    Measure("val_top1", "percent", MILLI, True, "run"),  # that of the best epoch
)
"""Every measure, those of release files in the order in which the files have them."""

EPOCH = {measure.name: measure for measure in MEASURES if measure.of == "epoch"}
"""Measures of epochs, by name."""

RUN = {measure.name: measure for measure in MEASURES if measure.of == "run"}
"""Measures of runs, by name."""

COSTS = {measure.name: measure for measure in MEASURES if measure.of == "arch"}
"""Measures of architectures, which nothing has to be trained for, by name."""

LATENCY = next(measure for measure in MEASURES if measure.of == "device")
"""The measure of an architecture on a device."""

SPREAD = replace(LATENCY, name="spread")
"""How far the latencies of one network lie apart, kept beside their median; no release file has it."""

RANKED_BY = "test_top1"
"""What runs are ranked by where nothing else is said."""

ENVIRONMENT = (
    "codebase_commit",
    "codebase_version",
    "cuda",
    "driver",
    "gpu",
    "platform",
    "ptflops_version",
    "python",
    "torch_commit",
    "torch_cuda_version",
    "torch_version",
    "torchvision_version",
)
"""The facts about software and hardware that are recorded beside what was measured: texts, '' where unknown.
"""


def first_of_curve(name: str, first_is_best: bool, *, wanted: bool = False) -> int:
    """The first epoch that is part of a curve: 2 where epoch 1 has the best epoch's value instead of its own.

    Parameters
    ----------
    name
        A measure of epochs.
    first_is_best
        What the recipe of the run says of its first epochs.
    wanted
        Whether somebody wants epoch 1 all the same.

    Examples
    --------
    >>> first_of_curve("val_loss", True), first_of_curve("train_loss", True)
    (2, 1)
    """
    return 2 if first_is_best and EPOCH[name].overwritten and not wanted else 1


def to_stored(values: Array, measure: Measure, source: str = "", *, rounds: bool = False) -> Array:
    """Natural values as the integers that a database keeps.

    NaN means that nothing was measured, and becomes `MISSING`. Nothing is rounded if that is not asked for:
    what the scale cannot hold exactly is refused.

    Parameters
    ----------
    values
        The values, float64 (n,) or (n, epochs), in the measure's unit; integers are taken as stored ones,
        and given back.
    measure
        The measure that the values are of.
    source
        The file that the values come from, for the error.
    rounds
        Whether values with more decimals than are kept are rounded to the nearest that is kept.

    Returns
    -------
    numpy.ndarray
        Stored integers, int64, of the same shape.

    Raises
    ------
    BloxFormatError
        A value is infinite, has more decimals than are kept, or has too many digits; the error shows it, and
        names source, row, column and epoch.

    Examples
    --------
    >>> to_stored(np.array([73.14, np.nan]), EPOCH["val_top1"])[0]
    np.int64(73140)
    """
    if values.dtype != np.float64:
        return values
    absent = np.isnan(values)
    known = np.where(absent, 0.0, values)
    if rounds:
        stored = nearest_stored(known, measure)
        exact = stored != MISSING
    else:
        stored, exact = _integers(known, measure.scale)
    for place in np.argwhere(~exact)[:1].tolist():
        value = values[tuple(place)]
        problem = measure.problem(value) if np.isinf(value) else ""
        if not problem and abs(value) * measure.scale >= EXACT:
            problem = TOO_LONG
        elif not problem:
            kept = f"the {measure.decimals} that the database keeps"
            problem = f"has more decimals than {kept}; round=True, or --round, rounds it"
        raise _bad_value(value, problem, measure, place, source)
    return np.where(absent, MISSING, stored)


def check(values: Array, measure: Measure, source: str = "") -> None:
    """Refuse values that a measure cannot have: whoever takes values from outside asks here.

    Parameters
    ----------
    values
        Values in the measure's unit, float64 (n,) or (n, epochs), NaN where nothing was measured; integers
        are taken as stored ones.
    measure
        The measure that the values are of.
    source
        The file that the values come from, for the error.

    Raises
    ------
    BloxFormatError
        A value is infinite, negative, or above 100 percent; the error shows it, and names source, row,
        column and epoch.

    Examples
    --------
    >>> check(np.array([0.0, 100.0, np.nan]), RUN["test_top1"])
    """
    scale = 1 if values.dtype == np.float64 else measure.scale
    top = measure.highest * scale
    if values.dtype.kind == "i" and (
        not values.size or (values.min() >= 0 and values.max() <= min(top, EXACT - 1))
    ):
        return  # nearly always, and found without an array of booleans
    bad = (values < 0) | (values > top)
    if values.dtype.kind in "iu":
        bad |= values >= EXACT  # as a float, as which they are asked for, it would be another number
    if values.dtype == np.int64 and measure.of == "epoch":
        bad &= values != MISSING
    for place in np.argwhere(bad)[:1].tolist():
        value = values[tuple(place)] if scale == 1 else values[tuple(place)] / scale
        raise _bad_value(value, measure.problem(value) or TOO_LONG, measure, place, source)


def _bad_value(
    value: float, problem: str, measure: Measure, place: list[int], source: str
) -> BloxFormatError:
    epoch = f" of epoch {place[1] + 1}" if len(place) == 2 else ""
    return BloxFormatError(
        f"the value {value}{epoch} {problem}", source=source, row=place[0], column=measure.name
    )


def nearest_stored(values: npt.NDArray[np.float64], measure: Measure) -> npt.NDArray[np.int64]:
    """Values as they were measured, rounded to the decimals of the release as Python's `round` does it.

    Parameters
    ----------
    values
        The values in the measure's unit, float64 of any shape.
    measure
        The measure that the values are of.

    Returns
    -------
    numpy.ndarray
        Stored integers, int64 of the same shape; `MISSING` for what is not finite or has too many digits.

    Examples
    --------
    >>> nearest_stored(np.array([46.379999999999995, np.inf]), EPOCH["val_top1"])[0]
    np.int64(46380)
    """
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows does not fit, as found below
        scaled = values * measure.scale
        fits = np.abs(scaled) < EXACT
    scaled = np.where(fits, scaled, 0.0)
    stored = np.rint(scaled)
    for place in np.argwhere(np.abs(np.abs(scaled - stored) - 0.5) < _NEAR_HALF):
        where = tuple(place)
        stored[where] = round(round(float(values[where]), measure.decimals) * measure.scale)
    return np.where(fits, stored.astype(np.int64), MISSING)


def from_stored(stored: Array, measure: Measure) -> npt.NDArray[np.float64]:
    """Stored integers in the measure's unit, NaN where nothing was measured.

    Parameters
    ----------
    stored
        Stored integers, int32 or int64, of any shape; `MISSING` can only be among int64.
    measure
        The measure that the integers are of.

    Returns
    -------
    numpy.ndarray
        Values in the measure's unit, float64, of the same shape.
    """
    floats = to_floats(stored, measure.scale)
    if stored.dtype == np.int64:
        floats[stored == MISSING] = np.nan
    return floats


def compact(values: Array, scale: int) -> Array:
    """Float64 values as int32 fixed point where that is exact bit for bit, otherwise as they are."""
    if values.dtype != np.float64:
        return values
    fixed = to_fixed(values, scale)
    return values if fixed is None else fixed


def to_fixed(values: npt.NDArray[np.float64], scale: int) -> npt.NDArray[np.int32] | None:
    """`values` times `scale` as int32, or None if that is not exact, bit for bit, for every value."""
    stored, exact = _integers(values, scale)
    negative_zero = (stored == 0) & np.signbit(values)
    if not np.all(exact & ~negative_zero & (np.abs(stored) < 2**31)):
        return None
    return stored.astype(np.int32)


def to_floats(fixed: Array, scale: int) -> npt.NDArray[np.float64]:
    """The floats that integers of 1/`scale` stand for."""
    floats: npt.NDArray[np.float64] = np.divide(fixed, float(scale), dtype=np.float64)
    return floats


def _integers(values: npt.NDArray[np.float64], scale: int) -> tuple[npt.NDArray[np.int64], Array]:
    """Values times `scale`, int64, and where that is exact; NaN and infinities are not."""
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is not exact, as found below
        scaled = np.rint(values * scale)
    fits = np.abs(scaled) < EXACT
    stored = np.where(fits, scaled, 0.0).astype(np.int64)
    return stored, fits & (to_floats(stored, scale) == values)
