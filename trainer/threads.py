"""How the threads of torch wait for each other; imports no torch, since it has to be said before."""

from __future__ import annotations

import os

_WAITING = {
    # GNU's OpenMP, which torch's wheels for Linux bring, and any other that knows the standard
    "OMP_WAIT_POLICY": "PASSIVE",
    # LLVM's and Intel's, of macOS and MKL, spin for 200 ms by default, whatever the policy is
    "KMP_BLOCKTIME": "0",
}


def wait_passively() -> None:
    """Let threads that wait for others sleep; what the environment says already stays.

    By default they spin. Where something else needs the cores too, each then waits in a loop for one that the
    system has put aside for it: an epoch of the digits with two threads took 59 s in place of 14, and 22 s of
    processor time in place of 4, on two cores that others were using. Torch reads this once, when it is
    loaded; processes that are started afterwards have it from the beginning.
    """
    for name, value in _WAITING.items():
        os.environ.setdefault(name, value)
