from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]

def walk(
    body: bytes | bytearray, sizes: Offsets, starts: Offsets
) -> tuple[int, int]: ...
def read_bits(
    body: bytes,
    starts: Offsets,
    skip: int,
    bits: int,
    span: int,
    out: npt.NDArray[np.int32],
) -> int: ...
def write_bits(
    body: bytearray,
    starts: Offsets,
    skip: int,
    bits: int,
    low: int,
    values: npt.NDArray[np.int32],
) -> None: ...
def read_bytes(body: bytes, starts: Offsets, skip: int, out: Bytes) -> None: ...
def write_bytes(
    body: bytearray, starts: Offsets, skip: int, values: npt.NDArray[Any]
) -> None: ...
def find_counts(
    milli: npt.NDArray[np.int32],
    images_per_milli: float,
    known: npt.NDArray[np.int32],
    out: npt.NDArray[np.int32],
) -> bool: ...
