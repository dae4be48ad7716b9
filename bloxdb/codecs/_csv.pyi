import numpy as np
import numpy.typing as npt

Fields = npt.NDArray[np.int64]

def split(body: memoryview, width: int, fields: Fields) -> tuple[int, int, int, int]: ...
def read_numbers(
    body: memoryview, fields: Fields, column: int, decimals: int, is_list: bool, out: npt.NDArray[np.int32]
) -> int: ...
def read_hex(body: memoryview, fields: Fields, column: int, out: npt.NDArray[np.uint8]) -> int: ...
def write_rows(
    layout: npt.NDArray[np.int64],
    hashes: npt.NDArray[np.uint8],
    whole: npt.NDArray[np.int64],
    fixed: npt.NDArray[np.int32],
) -> bytes: ...
