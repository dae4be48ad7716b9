"""Reading and writing the files of a release, against zlib and the standard library on the same bytes."""

from __future__ import annotations

import csv
import gc
import io
import json
import os
import pickle
import zlib
from pathlib import Path

from harness import baseline, clock, finish, measurement

from bloxdb import codecs

EXT = "blox-ext-0"


def body_of(work: Path, name: str) -> bytes:
    """What follows the header of the ext file."""
    data = file_of(work, name).read_bytes()
    return data[data.index(b"\n---\n", 4) + 5 :]


def file_of(work: Path, name: str) -> Path:
    """The ext file in one format."""
    return work / "release" / f"{EXT}.{name}"


def read(work: Path, name: str) -> dict[str, float]:
    """Read the ext file into a Table."""
    result: dict[str, float] = {"file_mb": file_of(work, name).stat().st_size / 1e6}
    with clock(result):
        codecs.read(file_of(work, name))
    return result


def write(work: Path, name: str) -> dict[str, float]:
    """Turn the ext Table into the bytes of a file."""
    table = codecs.read(file_of(work, "blox"))
    result: dict[str, float] = {}
    with clock(result):
        parts, _ = codecs.encode(table, name)
    result["file_mb"] = sum(map(len, parts)) / 1e6
    return result


@baseline
def inflate(work: Path) -> dict[str, float]:
    """Only zlib."""
    body, result = body_of(work, "blox"), dict[str, float]()
    with clock(result):
        zlib.decompress(body)
    return result


@measurement("read ext .blox", bound=0.8, against=inflate, peak_mb=lambda ours, _: 3 * ours["inflated_mb"])
def read_blox(work: Path) -> dict[str, float]:
    """Ours."""
    result = read(work, "blox")
    result["inflated_mb"] = json.loads((work / "sizes.json").read_text())["inflated_mb"]
    return result


@baseline
def deflate(work: Path) -> dict[str, float]:
    """Only zlib, level 6."""
    body, result = zlib.decompress(body_of(work, "blox")), dict[str, float]()
    with clock(result):
        deflated = zlib.compress(body, 6)
    result["file_mb"] = len(deflated) / 1e6
    return result


@measurement("write ext .blox", bound=0.3, against=deflate)
def write_blox(work: Path) -> dict[str, float]:
    """Ours."""
    return write(work, "blox")


@baseline
def pickle_loads(work: Path) -> dict[str, float]:
    """The standard library, the collector off."""
    body, result = body_of(work, "pickle"), dict[str, float]()
    gc.disable()
    with clock(result):
        rows = pickle.loads(body)
    result["rows"] = len(rows)
    os._exit(finish(result))  # freeing a hundred million objects takes as long again


@measurement(
    "read ext .pickle", bound=0.15, against=pickle_loads, peak_mb=lambda ours, _: 2 * ours["file_mb"]
)
def read_pickle(work: Path) -> dict[str, float]:
    """Ours."""
    return read(work, "pickle")


@baseline
def pickle_dumps(work: Path) -> dict[str, float]:
    """The standard library."""
    gc.disable()
    rows, result = pickle.loads(body_of(work, "pickle")), dict[str, float]()
    with clock(result):
        pickle.dumps(rows, protocol=4)
    os._exit(finish(result))


@measurement("write ext .pickle", bound=0.4, against=pickle_dumps)
def write_pickle(work: Path) -> dict[str, float]:
    """Ours."""
    return write(work, "pickle")


@baseline
def csv_reader(work: Path) -> dict[str, float]:
    """The standard library: `csv.reader`, and `float` on each value."""
    text, result = body_of(work, "csv").decode(), dict[str, float]()
    csv.field_size_limit(1 << 30)
    gc.disable()
    with clock(result):
        for _, *fields in csv.reader(io.StringIO(text, newline="")):
            for field in fields:
                if field[0] == "[":
                    [float(value) for value in field[1:-1].split(", ")]
                else:
                    float(field)
    return result


@measurement("read ext .csv", bound=0.2, against=csv_reader)
def read_csv(work: Path) -> dict[str, float]:
    """Ours."""
    return read(work, "csv")


@baseline
def csv_writer(work: Path) -> dict[str, float]:
    """The standard library."""
    gc.disable()
    rows, result = pickle.loads(body_of(work, "pickle")), dict[str, float]()
    with clock(result):
        csv.writer(io.StringIO(newline="")).writerows(rows)
    os._exit(finish(result))


@measurement("write ext .csv", bound=0.1, against=csv_writer)
def write_csv(work: Path) -> dict[str, float]:
    """Ours."""
    return write(work, "csv")
