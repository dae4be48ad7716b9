from mmap import mmap

import numpy as np
import numpy.typing as npt

def tally(
    file: npt.NDArray[np.uint8] | mmap, page_size: int, root: int, columns: int
) -> tuple[int, int, list[int], list[int]]: ...
