from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

def digests(
    labels: npt.NDArray[np.int64], edges: Iterable[tuple[int, int]]
) -> npt.NDArray[np.uint8]: ...
