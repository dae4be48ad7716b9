"""The lying harness: files that lie, by the thousand a second, to every reader of files that others made.

    python -m tests.fuzz.lie [TARGET ...] [--seconds 10] [--cases N] [--jobs 2] [--seed 1]

A case must end in a sound result that an oracle confirms (`oracles`), or in the one kind of error that is due:
never in a crash, a hang of more than 5 s (of Parquet, 60 s), another exception, a wrong value, or more memory than four times what
such a file is worth. What fails is put into tests/data/hostile/, whose files a test reads ever after. A case is
known by target, seed and number, so that one that ended its process is made again.
"""

from __future__ import annotations

import argparse
import mmap
import multiprocessing
import os
import random
import re
import resource
import signal
import struct
import sys
import time
import traceback
from hashlib import blake2b
from pathlib import Path
from typing import NoReturn

from tests.fuzz.targets import Target, targets

HOSTILE = Path(__file__).parents[1] / "data" / "hostile"
MEMORY = 4 * (32 << 20)
"""Bytes that a case may add to the most that its process ever had: a case has at most 100 KB, for which
docs/format.md allows 16 MiB and little more; what the oracle takes counts, too."""
_ROOM = 2 << 30  # of addresses, so that a bomb ends its process and not the machine
_LARGEST = 1 << 18  # bytes of a file that is kept
_PATIENCE = 120  # seconds; torch alone may take many until it is loaded
_FAULTS = 20  # of one target, after which the rest would be the same


class HangError(Exception):
    """A case took too long."""


def _alarm(*_: object) -> NoReturn:
    raise HangError("it takes too many seconds")


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def attempt(target: Target, data: bytes) -> tuple[bool, str]:
    """Judge one case within its limits: whether it was taken, and what is at fault.

    A busy machine may let any case wait for seconds, so that a hang is one that comes twice.
    """
    taken, fault = _attempt(target, data)
    return _attempt(target, data) if "HangError" in fault else (taken, fault)


def _attempt(target: Target, data: bytes) -> tuple[bool, str]:
    signal.signal(signal.SIGALRM, _alarm)
    before = _peak()
    signal.setitimer(signal.ITIMER_REAL, target.SECONDS)
    try:
        taken, fault = target.judge(data), ""
    except BaseException as error:  # whatever it is, it is the fault that is looked for
        if isinstance(error, KeyboardInterrupt):
            raise
        taken, fault = False, "".join(traceback.format_exception(error)[-6:])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    if not fault and _peak() - before > MEMORY:
        fault = f"it took {(_peak() - before) >> 20} MiB"
    return taken, fault


def case(target: Target, seed: int, number: int) -> bytes:
    """The case of a number."""
    return target.case(random.Random(f"{target.NAME}-{seed}-{number}"))


def _work(name: str, seed: int, job: int, jobs: int, cases: int, seconds: float, shared: mmap.mmap) -> None:
    """Cases of one worker; its number, what was taken and faults stand in memory that the parent sees."""
    resource.setrlimit(resource.RLIMIT_AS, (_ROOM, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    target = targets()[name]()
    done, taken, faults = struct.unpack_from("<3q", shared, 24 * job)
    attempt(target, case(target, seed, job))  # so that what is loaded once is no case's memory
    until = time.monotonic() + seconds
    while done * jobs + job < cases and time.monotonic() < until and faults < _FAULTS:
        number = done * jobs + job
        struct.pack_into("<3q", shared, 24 * job, done, taken, faults)
        data = case(target, seed, number)
        was_taken, fault = attempt(target, data)
        if fault:
            save(target, data, f"case {number} of seed {seed}\n{fault}")
        done, taken, faults = done + 1, taken + was_taken, faults + bool(fault)
    struct.pack_into("<3q", shared, 24 * job, done, taken, faults)


def save(target: Target, data: bytes, fault: str) -> Path:
    """Keep what failed, once for each kind of fault."""
    kind = re.sub(r"[0-9]+", "0", fault.strip().splitlines()[-1])[:60]
    name = f"{target.NAME}-{blake2b(kind.encode(), digest_size=4).hexdigest()}{target.SUFFIX}"
    path = HOSTILE / name
    HOSTILE.mkdir(parents=True, exist_ok=True)
    if len(data) > _LARGEST:  # too large to be kept; its number makes it again
        print(f"{target.NAME}: {fault}", flush=True)
    elif not path.exists() or path.stat().st_size > len(data):
        path.write_bytes(data)
        print(
            f"{path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}: {fault}",
            flush=True,
        )
    return path


def lie(name: str, *, seconds: float, cases: int, jobs: int, seed: int) -> tuple[int, int, int]:
    """Lie to one target: how many cases there were, were taken, and failed."""
    shared = mmap.mmap(-1, 24 * jobs)
    begun: dict[int, float] = {}
    context = multiprocessing.get_context("fork")
    workers = {}

    def start(job: int) -> None:
        left = begun.setdefault(job, time.monotonic()) + seconds - time.monotonic()
        args = (name, seed, job, jobs, cases, left, shared)
        workers[job] = context.Process(target=_work, args=args)
        workers[job].start()

    for job in range(jobs):
        start(job)
    while workers:
        job, worker = next(iter(workers.items()))
        worker.join(seconds + _PATIENCE)
        if worker.is_alive():  # a kernel that heeds no signal
            worker.kill()
            worker.join()
        del workers[job]
        if worker.exitcode:
            done, taken, faults = struct.unpack_from("<3q", shared, 24 * job)
            target = targets()[name]()
            save(target, case(target, seed, done * jobs + job), f"it ended its process: {worker.exitcode}")
            struct.pack_into("<3q", shared, 24 * job, done + 1, taken, faults + 1)
            if faults < _FAULTS:
                start(job)
    totals = [struct.unpack_from("<3q", shared, 24 * job) for job in range(jobs)]
    return tuple(map(sum, zip(*totals, strict=True)))  # type: ignore[return-value]


def main() -> None:
    """Lie to the targets that are named, or to all, for so long each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help=f"of {', '.join(targets())}; all if none"
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="of each target")
    parser.add_argument("--cases", type=int, default=2**62, help="of each target, at the most")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=None, help="another one each time if not given")
    options = parser.parse_args()
    unknown = [name for name in options.targets if name not in targets()]
    if unknown:
        parser.error(f"there is no target {unknown[0]!r}")
    seed = random.SystemRandom().randrange(2**32) if options.seed is None else options.seed
    failed = 0
    for name in options.targets or list(targets()):
        begun = time.monotonic()
        done, taken, faults = lie(
            name, seconds=options.seconds, cases=options.cases, jobs=options.jobs, seed=seed
        )
        rate = done / (time.monotonic() - begun)
        print(
            f"{name}: {done:,} cases of seed {seed}, {taken:,} taken, {faults} faults, {rate:,.0f} a second",
            flush=True,
        )
        failed += faults
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
