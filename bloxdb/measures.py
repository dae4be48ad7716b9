"""Fixed point: measures as integers of their last decimal.

An accuracy with three decimals is held as thousandths of a percent, a loss with six as millionths. An
integer divided by its scale is the very float that the decimal text gives, because both numbers are exact
and the division rounds correctly; so nothing is lost and half the memory is saved.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

MILLI = 1_000
MICRO = 1_000_000


def to_fixed(values: npt.NDArray[np.float64], scale: int) -> npt.NDArray[np.int32] | None:
    """`values` times `scale` as int32, or None if that is not exact, bit for bit, for every value."""
    with np.errstate(over="ignore"):  # what overflows is no fixed point, as found below
        scaled = np.rint(values * scale)
    if not np.all(np.abs(scaled) < 2**31):  # NaN and infinity end here too
        return None
    fixed = scaled.astype(np.int32)
    same = np.array_equal(to_floats(fixed, scale).view(np.int64), values.view(np.int64))
    return fixed if same else None


def to_floats(fixed: npt.NDArray[np.signedinteger[Any]], scale: int) -> npt.NDArray[np.float64]:
    """The floats that integers of 1/`scale` stand for."""
    floats: npt.NDArray[np.float64] = np.divide(fixed, float(scale), dtype=np.float64)
    return floats


def compact(values: Array, scale: int) -> Array:
    """Float64 values as fixed point where that is exact, otherwise as they are."""
    if values.dtype != np.float64:
        return values
    fixed = to_fixed(values, scale)
    return values if fixed is None else fixed
