"""Large arrays whose memory is new."""

from __future__ import annotations

import math
import mmap
from typing import Any

import numpy as np
import numpy.typing as npt

_LARGE = 1 << 22  # bytes from which NumPy asks for huge pages


def new_array(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """An array of zeros in ordinary pages of memory.

    NumPy asks the system for huge pages, which have to be whole and so are mostly ones that were never used.
    On a virtual machine the host must then find memory for each: reading a full-size ext file took 0.8 to
    1.4 s with them, and 0.8 s without, where pages that another process has just given back serve as well.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size < _LARGE or not hasattr(mmap, "MAP_ANONYMOUS"):
        return np.zeros(shape, dtype=dtype)
    pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return np.frombuffer(pages, dtype=dtype).reshape(shape)
