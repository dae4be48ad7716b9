"""Fuzz the readers: any bytes give a sound table or a `BloxFormatError`, never a crash or another error.

    python tests/fuzz/fuzz_readers.py blox|pickle|csv [-max_total_time=60] [any option of libFuzzer]

The seeds are the golden files. What is fuzzed of a `.blox` file is mostly its inflated body, so that the checksum
does not stop the fuzzer at once. Needs `pip install 'bloxdb[fuzz]'`. Not collected by pytest; .ci/run runs each for a
while.
"""

from __future__ import annotations

import sys
import tempfile
import zlib
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["bloxdb"]):
    from bloxdb import codecs
    from bloxdb.codecs import Table
    from bloxdb.errors import BloxFormatError

GOLDEN = Path(__file__).resolve().parents[1] / "data" / "golden" / "release-tiny"
BYTES_AT_MOST = 1 << 16


def split(data: bytes) -> tuple[bytes, bytes]:
    """Header and body."""
    end = data.find(b"\n---\n", 4) + 5
    return data[:end], data[end:]


class Target:
    """Turns what the fuzzer gives into a file, and reads it.

    A byte from 128 on is followed by a whole file. A smaller one chooses one of the golden files, whose header
    comes before the body that follows: otherwise nearly all that is tried would end at a damaged header.
    """

    def __init__(self, name: str) -> None:
        self.is_folded = name == "blox"
        files = [path.read_bytes() for path in sorted(GOLDEN.glob(f"*.{name}"))]
        self.files = [data for data in files if len(data) < BYTES_AT_MOST]
        self.heads = [split(data)[0] for data in self.files]

    def seeds(self) -> list[bytes]:
        """What the fuzzer starts with: each file both ways."""
        parts = [(bytes([i]), split(data)[1]) for i, data in enumerate(self.files)]
        bodies = [first + (zlib.decompress(body) if self.is_folded else body) for first, body in parts]
        return [*bodies, *(b"\xff" + data for data in self.files)]

    def __call__(self, data: bytes) -> None:
        if not data:
            return
        if data[0] >= 128:
            check(data[1:])
            return
        body = data[1:]
        check(self.heads[data[0] % len(self.heads)] + (zlib.compress(body, 1) if self.is_folded else body))


def check(data: bytes) -> None:
    """Read; what is read must be sound."""
    try:
        table = codecs.decode(data, source="fuzzed")
    except BloxFormatError as error:
        if not str(error).startswith("fuzzed"):
            raise ValueError("an error that does not name the file") from error
        return
    if table.header.epochs is None or table.header.epochs * len(table) < 100_000:
        again = Table.from_rows(table.header, table.rows())
        if again.difference(table) is not None:
            raise ValueError("the table is not what its rows say")


def main() -> None:
    """Fuzz one format."""
    if len(sys.argv) < 2 or sys.argv[1] not in codecs.FORMATS:
        sys.exit(f"usage: {sys.argv[0]} {'|'.join(codecs.FORMATS)} [options of libFuzzer]")
    target = Target(sys.argv.pop(1))
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(target.seeds()):
            (Path(corpus) / str(number)).write_bytes(seed)
        options = [*sys.argv, f"-max_len={BYTES_AT_MOST}", "-rss_limit_mb=2048", "-timeout=20", corpus]
        atheris.Setup(options, target)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
