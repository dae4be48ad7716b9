"""What the page does with columns, in Python."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
from pathlib import Path
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


class Served:
    """`bloxdb explore` in a process of its own, ended by Ctrl-C.

    Attributes
    ----------
    url
        The address of the page.
    errors
        What it wrote to stderr, once it has ended.
    """

    def __init__(
        self, file: Path, *options: str, ports: tuple[str, ...] = ("--port", "0"), starts: bool = True
    ) -> None:
        command = [sys.executable, "-m", "bloxdb", "explore", "--db", str(file), "--no-browser"]
        given = () if "--port" in options else ports
        self.process = subprocess.Popen(
            [*command, *given, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.errors = ""
        if starts:
            assert self.process.stdout is not None
            self.url = self.process.stdout.readline().strip()
            assert self.url, self.process.communicate(timeout=20)[1]

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        with self.process:  # closes its pipes
            if self.process.stderr is not None and not self.process.stderr.closed:
                try:
                    self.errors = self.process.communicate(timeout=20)[1]
                except subprocess.TimeoutExpired:
                    self.process.kill()
                    raise
