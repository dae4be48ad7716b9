"""Fuzz the readers: any bytes give a sound table or a `BloxFormatError`, never a crash or another error.

    python tests/fuzz/fuzz_readers.py blox|pickle|csv [-max_total_time=60] [any option of libFuzzer]

The seeds are the golden files. What is fuzzed of a `.blox` file is its inflated body, so that the checksum does
not stop the fuzzer at once. Needs `pip install 'bloxdb[fuzz]'`. Not collected by pytest; .ci/run runs each for a
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


def unfold(data: bytes) -> bytes:
    """A `.blox` file with its body inflated."""
    head, body = split(data)
    return head + zlib.decompress(body)


def fold(data: bytes) -> bytes:
    """What `unfold` undoes."""
    head, body = split(data)
    return head + zlib.compress(body, 1)


def check(data: bytes) -> None:
    """Read; what is read must be sound."""
    try:
        table = codecs.decode(data, "fuzzed")
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
    name = sys.argv.pop(1)
    is_folded = name == "blox"
    with tempfile.TemporaryDirectory() as corpus:
        for path in sorted(GOLDEN.glob(f"*.{name}")):
            data = path.read_bytes()
            if len(data) < BYTES_AT_MOST:
                (Path(corpus) / path.name).write_bytes(unfold(data) if is_folded else data)
        options = [*sys.argv, f"-max_len={BYTES_AT_MOST}", "-rss_limit_mb=2048", "-timeout=20", corpus]
        atheris.Setup(options, lambda data: check(fold(data) if is_folded else data))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
