import numpy as np
import numpy.typing as npt

def parse(text: bytes, missing: int, out: npt.NDArray[np.int64]) -> int: ...
