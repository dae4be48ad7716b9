"""Compute the model hash of every architecture and compare it with `hashes.bin`: `make hashes`, half a minute.

With `--write` the file is written instead, as a new operation needs. The tests do this for a sample. All of them are worth it after a change to graphs, to fingerprints or to the data.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bloxdb import space
from bloxdb.space.hashing import fingerprint

_STEP = 10_000


def main() -> int:
    """Print how far it is, and each difference; 1 if there is one."""
    if sys.argv[1:] == ["--write"]:
        graphs = map(space.graph, range(space.NUM_ARCHS))
        data = b"".join(fingerprint(graph.labels, graph.edges) for graph in graphs)
        Path(space.__file__).with_name("hashes.bin").write_bytes(data)
        print(f"{space.NUM_ARCHS:,} written")
        return 0
    wrong = 0
    for index, stored in enumerate(space.all_digests()):
        graph = space.graph(index)
        computed = fingerprint(graph.labels, graph.edges)
        if computed != stored.tobytes():
            wrong += 1
            print(f"architecture {index}: stored {stored.tobytes().hex()}, computed {computed.hex()}")
        if (index + 1) % _STEP == 0:
            print(f"{index + 1:,} of {space.NUM_ARCHS:,}", flush=True)
    print(f"all {space.NUM_ARCHS:,} compared, {wrong:,} differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
