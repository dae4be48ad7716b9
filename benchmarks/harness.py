"""How measurements are declared, run in processes of their own, and shown; what they measure is elsewhere."""

from __future__ import annotations

import json
import os
import platform
import resource
import sqlite3
import statistics
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import click

RESULTS = Path(__file__).resolve().parent / "RESULTS.md"
COLUMNS = ["what", "ours, s", "baseline, s", "ratio", "bound", "peak, MB", "bound, MB", "met"]

Result = dict[str, float]  # `seconds`, and what else is worth knowing
Function = Callable[[Path], Result]
Peak = Callable[[Result, Result], float]


@dataclass(frozen=True)
class Measurement:
    """A function, and its line of the table: its seconds against `bound` times those of the baseline that
    `against` names, or against `bound` seconds. A baseline has no bound, and no line of its own.

    `peak_mb` gives the most memory that ours may take, of what ours and the baseline told.
    """

    function: Function
    title: str = ""
    bound: float | None = None
    against: str | None = None
    peak_mb: Peak | None = None

    @property
    def name(self) -> str:
        """The name of the function, by which the command line asks for it."""
        return self.function.__name__


DECLARED: dict[str, Measurement] = {}


def declare(found: Measurement) -> None:
    """Register it; two of one name would be one of them measured twice."""
    if found.name in DECLARED:
        raise ValueError(f"two measurements are called {found.name!r}; give one of them another name")
    DECLARED[found.name] = found


def baseline(function: Function) -> Function:
    """Declare what others are measured against."""
    declare(Measurement(function))
    return function


def measurement(
    title: str, *, bound: float, against: Function | None = None, peak_mb: Peak | None = None
) -> Callable[[Function], Function]:
    """Declare a line of the table; `against` is a function that was declared before."""

    def register(function: Function) -> Function:
        declare(Measurement(function, title, bound, against.__name__ if against else None, peak_mb))
        return function

    return register


def load(modules: Iterable[str]) -> dict[str, Measurement]:
    """What these modules declare, in their order, which is the table's."""
    for module in modules:
        import_module(module)
    return DECLARED


@contextmanager
def clock(result: Result) -> Iterator[None]:
    """Add the seconds that the block takes."""
    start = time.perf_counter()
    yield
    result["seconds"] = result.get("seconds", 0.0) + time.perf_counter() - start


def cli(*arguments: object) -> dict[str, float]:
    """A command in a process of its own, from start to end."""
    result: dict[str, float] = {}
    command = [str(Path(sys.executable).with_name("bloxdb")), *map(str, arguments)]
    with clock(result):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    result["peak_mb"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return result


def finish(result: dict[str, float]) -> int:
    """Print what was measured, with this process's peak."""
    result.setdefault("peak_mb", peak_mb())
    print(json.dumps(result), flush=True)
    return 0


def peak_mb() -> float:
    """This process's own peak; Linux hands ru_maxrss down from the parent."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise click.ClickException("the peak memory of a process is read from /proc, which is not here")


def child(script: str, work: Path, name: str) -> Result:
    """One measurement of a script in a process of its own."""
    command = [sys.executable, script, str(work), "--child", name]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: Result = json.loads(done.stdout.splitlines()[-1])
    return found


def processor() -> str:
    """The processor's name and its cores."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            model = line.split(":")[1].strip()
    return f"{model}, {os.cpu_count()} cores"


def machine() -> str:
    """What it ran on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{processor()}, {memory:.0f} GiB; Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}, zlib {zlib.ZLIB_RUNTIME_VERSION}"
    )


def today() -> str:
    """The day of a result."""
    return f"{datetime.now(UTC):%Y-%m-%d}"


def markdown(columns: Sequence[str], lines: Iterable[str]) -> str:
    """A table; its first and last column are words, the others numbers."""
    rule = ["---", *["---:"] * (len(columns) - 2), "---"]
    return "\n".join([f"| {' | '.join(columns)} |", f"| {' | '.join(rule)} |", *lines])


def table(results: dict[str, list[Result]]) -> str:
    """The lines that were measured, as Markdown."""
    measured = (found for found in DECLARED.values() if found.bound is not None and found.name in results)
    shown = (row(found, results) for found in measured if not found.against or found.against in results)
    return markdown(COLUMNS, shown)


def row(found: Measurement, results: dict[str, list[Result]]) -> str:
    """A line of the table: medians, and the highest peak."""
    assert found.bound is not None
    runs = results[found.name]
    ours = statistics.median(run["seconds"] for run in runs)
    peak = max(run["peak_mb"] for run in runs)
    told = results[found.against][0] if found.against else {}
    most = found.peak_mb(runs[0], told) if found.peak_mb else None
    if found.against:
        base = statistics.median(run["seconds"] for run in results[found.against])
        met = ours <= found.bound * base
        middle = f"{ours:.3g} | {base:.3g} | {ours / base:.3f} | {found.bound} x"
    else:
        met = ours <= found.bound
        middle = f"{ours:.3g} | | | {found.bound} s"
    met = met and (most is None or peak <= most)
    limit = "" if most is None else f"{most:.0f}"
    return f"| {found.title} | {middle} | {peak:.0f} | {limit} | {'yes' if met else '**no**'} |"


def write_between(begin: str, end: str, shown: str) -> None:
    """Put it between two marks of RESULTS.md."""
    head, rest = RESULTS.read_text().split(f"{begin}\n", 1)
    RESULTS.write_text(f"{head}{begin}\n\n{shown}\n{end}{rest.split(end, 1)[1]}")
