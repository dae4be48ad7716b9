"""Small files that say much: an error, and no more memory than docs/format.md says, before anything is made."""

from __future__ import annotations

import pickle
import pickletools
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from bloxdb import codecs, space
from bloxdb.codecs import Header, Table
from bloxdb.codecs.columns import BASE, ENV, INFO

pytestmark = pytest.mark.slow

MIB = 1 << 20
MOST = {"blox": (16 * MIB + 3 * 12 * MIB, 1032), "pickle": (2 * MIB, 30), "csv": (2 * MIB, 24)}
"""Bytes that a file of each format may take, and bytes for each of its own; rows that are read are there thrice."""

READ = """
import re, resource, sys
from pathlib import Path
from bloxdb import codecs
from bloxdb.errors import BloxFormatError

def most():
    status = Path("/proc/self/status")  # ru_maxrss is the parent's where that took more
    if status.exists():
        return 1024 * int(re.search("VmHWM:(.*)kB", status.read_text())[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

codecs.decode(open(sys.argv[2], "rb").read())
before = most()
try:
    codecs.read(sys.argv[1])
    told = "read"
except BloxFormatError as error:
    told = str(error)
print(most() - before)
print(told)
"""

INFOS = Header("static", INFO)
RUNS = Header("training", BASE, seed=1, epochs=65_535, dataset="cifar100", part="base")
ENVS = Header("env", ENV, seed=1)


def head(header: Header, name: str) -> bytes:
    return codecs.encode(Table.from_rows(header, []), name)[0][0]


def one_bit_lists() -> bytes:
    one = Table.from_rows(RUNS, [["0" * 32, [0.0] * 65_535, 0.0, 0]])
    header, *body = codecs.encode(one, "blox")[0]
    row = zlib.decompress(b"".join(body))[12 + 16 :]
    return header + body_of(1_680, b"".join(i.to_bytes(16, "little") + row for i in range(1_680)))


def texts_of_a_mebibyte() -> bytes:
    header = head(ENVS, "blox").replace(b": str", b": utf8")
    long = [str(i).encode() + "\N{SNAKE}".encode() + b"x" * (MIB - 16) for i in range(12 * 16)]
    rows = [
        i.to_bytes(16, "little")
        + b"".join(len(text).to_bytes(4, "little") + text for text in long[12 * i : 12 * i + 12])
        for i in range(16)
    ]
    return header + body_of(16, b"".join(rows))


def body_of(rows: int, data: bytes) -> bytes:
    return zlib.compress(struct.pack("<QI", 8 * (4 + len(data)), rows) + data, 9)


def pickled(opcodes: bytes, start: bytes = b"") -> Callable[[], bytes]:
    return lambda: head(INFOS, "pickle") + b"\x80\x04" + start + opcodes * (2 * MIB // len(opcodes)) + b"."


def lines(line: bytes) -> Callable[[], bytes]:
    return lambda: head(INFOS, "csv") + line * (2 * MIB // len(line))


BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "one-bit lists": ("blox", one_bit_lists),
    "texts of a mebibyte": ("blox", texts_of_a_mebibyte),  # a row of which is 12 MiB
    "lists": ("pickle", pickled(b"]")),
    "lists remembered": ("pickle", pickled(b"]\x94")),
    "remembered again": ("pickle", pickled(b"\x94", b"]")),
    "marks": ("pickle", pickled(b"(")),
    "numbers": ("pickle", pickled(b"K\0")),
    "lists of a number": ("pickle", pickled(b"]K\0a")),
    "a list that grows": ("pickle", pickled(b"K\0a", b"]")),
    "rows of nothing": ("pickle", pickled(b"]a", b"]")),
    "tuples within tuples": ("pickle", pickled(b"\x85", b"N")),
    "dicts": ("pickle", pickled(b"}a", b"]")),
    "sets": ("pickle", pickled(b"\x8fa", b"]")),
    "functions": ("pickle", pickled(b"cx\ny\na", b"]")),
    "calls": ("pickle", pickled(b"h\0)Ra", b"cx\ny\nq\0]")),
    "extensions": ("pickle", pickled(b"\x82\1a", b"]")),
    "no values": ("csv", lines(b",,,\n")),
    "one value": ("csv", lines(b"\n")),
    "short values": ("csv", lines(b"x,1,1,1\n")),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_an_error_within_the_memory_that_its_file_is_worth(name: str, tmp_path: Path) -> None:
    format, make = BOMBS[name]
    bomb = tmp_path / f"bomb.{format}"
    bomb.write_bytes(make())
    fine = tmp_path / "fine"
    fine.write_bytes(b"".join(codecs.encode(Table.from_rows(INFOS, []), format)[0]))
    done = subprocess.run(
        [sys.executable, "-c", READ, bomb, fine], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    taken, told = done.stdout.split("\n", 1)
    assert told.startswith(str(bomb)) or told == "read\n", told
    always, each = MOST[format]
    assert int(taken) < always + each * bomb.stat().st_size, f"{int(taken) / MIB:.1f} MiB"


def test_curves_of_which_nothing_was_measured_are_read_again() -> None:
    nothing = [float("nan")] * 200
    header = Header("training", ("model_hash", "train_loss", "val_loss"), 1, 200, "cifar100", "ext")
    rows = [
        [f"{i * 0x9E3779B97F4A7C15F39CC0605CEDC834 % 2**128:032x}", nothing, nothing] for i in range(3000)
    ]
    table = Table.from_rows(header, rows)
    for format in codecs.FORMATS:
        assert codecs.decode(b"".join(codecs.encode(table, format)[0])).difference(table) is None


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize("change", [bytes, pickletools.optimize], ids=["as it is", "optimized"])
def test_what_picklers_write_of_many_small_lists_is_within_the_bound(
    protocol: int, change: Callable[[bytes], bytes]
) -> None:
    digests = space.all_digests()
    rows = [[digests[i].tobytes().hex(), 7, 9, space.arch_vec(i)] for i in range(20_000)]
    table = codecs.decode(head(INFOS, "pickle") + change(pickle.dumps(rows, protocol=protocol)))
    assert len(table) == len(rows)
