from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]

def walk(
    body: Bytes | bytearray, at: int, first: int, sizes: Offsets, starts: Offsets
) -> tuple[int, int]: ...
def read_bits(
    body: Bytes | bytearray,
    starts: Offsets,
    skip: int,
    bits: int,
    span: int,
    out: npt.NDArray[np.int32],
) -> int: ...
def write_bits(
    body: Bytes | bytearray,
    starts: Offsets,
    skip: int,
    bits: int,
    low: int,
    values: npt.NDArray[np.int32],
) -> None: ...
def read_bytes(body: Bytes | bytearray, starts: Offsets, skip: int, out: Bytes) -> None: ...
def write_bytes(
    body: Bytes | bytearray, starts: Offsets, skip: int, values: npt.NDArray[Any]
) -> None: ...
