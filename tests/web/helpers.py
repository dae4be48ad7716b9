"""What the page does with columns, in Python."""

from __future__ import annotations

import gzip
import json
from typing import Any

import numpy as np
import numpy.typing as npt

from bloxdb.web.columns import ABSENT


def unpack(data: bytes) -> tuple[dict[str, Any], dict[str, npt.NDArray[np.float64]]]:
    """The header, and each column, NaN for what was not measured."""
    whole = gzip.decompress(data)
    size = int.from_bytes(whole[:4], "little")
    header = json.loads(whole[4 : 4 + size])
    found = {}
    for column in header["columns"]:
        begin = 4 + size + column["at"]
        assert begin % 8 == 0
        stored = np.frombuffer(whole, np.dtype(column["type"]).newbyteorder("<"), column["length"], begin)
        summed = np.cumsum(stored) if column["steps"] else stored
        values = summed / column["scale"]
        if stored.dtype.kind == "i":
            values[summed == ABSENT] = np.nan
        found[column["name"]] = values
    return header, found
