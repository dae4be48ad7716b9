"""Which architectures the files of a release have, and what one lacks that another has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from bloxdb import space, warn
from bloxdb.counts import counted
from bloxdb.errors import ReleaseError
from bloxdb.space.keys import Ids


def check_cover(ids: Mapping[str, Ids], seeds: Sequence[int]) -> None:
    """Files that extend a base file must be of architectures that it has; what they lack is said."""
    every = mask(np.concatenate([ids[f"blox-base-{seed}"] for seed in seeds]))
    for seed in seeds:
        base = mask(ids[f"blox-base-{seed}"])
        _say_what_is_missing(f"blox-base-{seed}", base, every, "that another seed has")
        for kind in ("ext", "env"):
            if f"blox-{kind}-{seed}" not in ids:
                continue
            there = mask(ids[f"blox-{kind}-{seed}"])
            strange = np.flatnonzero(there & ~base)
            if strange.size:
                raise ReleaseError(
                    f"blox-{kind}-{seed} has architecture {strange[0]}, which blox-base-{seed} lacks"
                )
            _say_what_is_missing(f"blox-{kind}-{seed}", there, base, f"that blox-base-{seed} has")


def mask(ids: Ids) -> npt.NDArray[np.bool_]:
    """Which of all architectures these are: NumPy's own sets take a hundred times as long."""
    is_there = np.zeros(space.NUM_ARCHS, dtype=bool)
    is_there[ids] = True
    return is_there


def _say_what_is_missing(
    stem: str, there: npt.NDArray[np.bool_], wanted: npt.NDArray[np.bool_], which: str
) -> None:
    missing = np.flatnonzero(wanted & ~there)
    if missing.size:
        warn.caller(
            f"{stem} lacks {missing.size:,} of {counted(int(wanted.sum()), 'architecture')} {which}, as "
            f"{missing[0]}; they have no value there"
        )
