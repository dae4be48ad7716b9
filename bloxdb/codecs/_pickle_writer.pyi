from typing import Any

import numpy as np
import numpy.typing as npt

class Writer:
    def begin(self, rows: int) -> None: ...
    def rows(
        self,
        layout: npt.NDArray[np.int64],
        hashes: npt.NDArray[np.uint8],
        numbers: npt.NDArray[np.int64],
        floats: npt.NDArray[Any] | None,
        fixed: npt.NDArray[Any] | None,
    ) -> None: ...
    def end(self) -> None: ...
    def take(self) -> bytes: ...
