"""A Ray cluster of several nodes on this machine, in processes of its own, so that no test imports Ray.

As a command it is the process that has the cluster: it prints the address, and then does what it reads.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NODES = 3
_MEMORY = 80_000_000  # bytes of each node's object store, the least that Ray takes


class Rays:
    """The cluster; each node has one CPU, so that it trains one run at a time.

    Attributes
    ----------
    address
        Where drivers find it.
    environment
        What drivers need, and what keeps Ray out of the home folder.
    """

    def __init__(self, folder: Path) -> None:
        token = folder / "token"
        token.write_text("0123456789abcdef" * 4)
        self.environment = {
            **os.environ,
            "HOME": str(folder),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_TMPDIR": str(folder),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_worker_niceness": "0",  # 15 on a busy machine is never
        }
        with (folder / "errors").open("w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, __file__], env=self.environment, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            )  # fmt: skip
        self.address = self._heard()

    def _heard(self) -> str:
        assert self._process.stdout is not None
        told = self._process.stdout.readline().strip()
        assert told, "the cluster has ended"
        return told

    def _tell(self, what: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        assert self._heard() == what

    def replace_node(self) -> None:
        """Kill all processes of one node at once, and let another one join."""
        self._tell("remove")
        self._tell("add")

    def add_old_node(self) -> None:
        """Let a node join that has an older bloxdb, as far as its metadata say."""
        place = Path(self.environment["HOME"], "bloxdb-0.0.1.dist-info")
        place.mkdir(exist_ok=True)
        (place / "METADATA").write_text("Metadata-Version: 2.1\nName: bloxdb\nVersion: 0.0.1\n")
        self._tell("add old")

    def end(self) -> None:
        """Stop all nodes."""
        self._process.communicate("end\n", timeout=60)


@contextmanager
def started() -> Iterator[Rays]:
    """A cluster as long as the block lasts, in a folder whose path is short, as sockets want it."""
    folder = Path(tempfile.mkdtemp(prefix="rays"))
    try:
        rays = Rays(folder)
        try:
            yield rays
        finally:
            rays.end()
    finally:
        shutil.rmtree(folder)


def _serve() -> None:
    from ray.cluster_utils import Cluster

    of_each: dict[str, Any] = {"num_cpus": 1, "object_store_memory": _MEMORY}
    cluster = Cluster(initialize_head=True, head_node_args={**of_each, "include_dashboard": False})
    nodes = [cluster.add_node(**of_each) for _ in range(NODES - 1)]
    print(cluster.address, flush=True)
    for line in sys.stdin:
        match line.strip():
            case "remove":
                cluster.remove_node(nodes.pop(0), allow_graceful=False)
            case "add":
                nodes.append(cluster.add_node(**of_each))
            case "add old":
                cluster.add_node(**of_each, env_vars={"PYTHONPATH": os.environ["HOME"]})
            case "end":
                break
        print(line, end="", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    _serve()
