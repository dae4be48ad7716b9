"""Small batch systems: what Slurm, LSF and Kubernetes do to a task, without their daemons.

A task is a process group of its own, with the environment that the batch system gives it. It is told to end by
SIGTERM, and has a grace until SIGKILL.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.trainer.helpers import wait_for

ROOT = Path(__file__).parents[1]
GRACE = 400.0  # seconds until SIGKILL, many: a busy machine needs them to start Python


@dataclass
class Site:
    """A folder where tasks run, and commands that they find there before all others."""

    folder: Path

    def __post_init__(self) -> None:
        self.tools = self.folder / "tools"
        self.tools.mkdir(parents=True, exist_ok=True)

    def tool(self, name: str, script: str) -> None:
        """A command of the batch system."""
        path = self.tools / name
        path.write_text(f"#!/bin/bash\n{script}")
        path.chmod(0o755)

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of a task: bloxdb of these tests, and nothing that a batch system around them says."""
        path = os.pathsep.join([str(self.tools), str(Path(sys.executable).parent), os.environ["PATH"]])
        told = re.compile(r"SLURM_|SGE_|PBS_|LSB_|JOB_COMPLETION_|BLOXDB_URL")
        plain = {name: value for name, value in os.environ.items() if not told.match(name)}
        return {**plain, "PATH": path, "PYTHONPATH": str(ROOT), "SITE": str(self.folder), **more}


class Task:
    """A process group that a batch system has started."""

    def __init__(self, command: Sequence[str], site: Site, log: str, **environment: str) -> None:
        self.log = site.folder / log
        with self.log.open("a") as output:  # as with --open-mode=append
            self._process = subprocess.Popen(
                command, cwd=site.folder, env=site.environment(**environment), start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        self.poll = self._process.poll

    def tell_first(self, number: signal.Signals = signal.SIGTERM) -> None:
        """A signal to the first process alone, as Slurm's ``--signal=B:`` and a container's end have it."""
        self._process.send_signal(number)

    def tell_all(self) -> None:
        """SIGTERM to each process, as by ``scancel``."""
        os.killpg(self._process.pid, signal.SIGTERM)

    def kill(self) -> None:
        """The node fails."""
        os.killpg(self._process.pid, signal.SIGKILL)

    def ended(self, within: float = GRACE) -> int:
        """Its exit code; SIGKILL to what is left after the grace."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(within)
        with suppress(ProcessLookupError):
            self.kill()
        return self._process.wait()

    def wait_for(self, what: Callable[[], bool]) -> None:
        """Wait until something holds that the task does."""
        try:
            wait_for(what, self._process)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.log.read_text()}") from error


class Slurm:
    """Runs a script as the tasks of an array, or as one job of several nodes."""

    def __init__(self, site: Site, script: Path, *options: str) -> None:
        self.site = site
        self.script = script
        self.options = options
        self.header = dict(re.findall(r"^#SBATCH --([a-z-]+)(?:=(.*))?$", script.read_text(), re.MULTILINE))
        assert "requeue" in self.header
        assert self.header["open-mode"] == "append"
        site.tool("scontrol", 'echo "$@" >> "$SITE/requeued"\n')
        site.tool(
            "srun",
            '[[ $1 == --kill-on-bad-exit=0 ]] && shift\n'
            'for node in $(seq "$SLURM_NNODES"); do "$@" & pids+=" $!"; done\n'
            'echo $pids > "$SITE/steps"; worst=0\n'
            'for pid in $pids; do wait "$pid"; code=$?; (( code > worst )) && worst=$code; done\n'
            "exit $worst\n",
        )  # fmt: skip

    def task(self, index: int, indices: Sequence[int], **more: str) -> Task:
        """Start a task of an array."""
        bounds = {"MIN": min(indices), "MAX": max(indices), "STEP": 1, "COUNT": len(indices), "ID": index}
        told = {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in bounds.items()}
        return self._start(SLURM_ARRAY_JOB_ID="7", SLURM_JOB_ID=str(8 + index), **told, **more)

    def job(self, nodes: int, **more: str) -> Task:
        """Start a job of several nodes."""
        return self._start(SLURM_JOB_ID="7", SLURM_NNODES=str(nodes), **more)

    def _start(self, **environment: str) -> Task:
        log = self.header["output"]
        for pattern, name in (("%a", "SLURM_ARRAY_TASK_ID"), ("%j", "SLURM_JOB_ID")):
            log = log.replace(pattern, environment.get(name, ""))
        return Task(["bash", str(self.script), *self.options], self.site, log, **environment)

    def tell(self, task: Task) -> None:
        """The time is nearly over: what ``--signal`` says."""
        whom, _, which = self.header["signal"].rpartition(":")
        number = signal.Signals[f"SIG{which.partition('@')[0]}"]
        if whom == "B":
            task.tell_first(number)
            return
        for pid in (self.site.folder / "steps").read_text().split():
            os.kill(int(pid), number)

    def requeued(self) -> list[str]:
        """The jobs that were to be queued again, which is forgotten then."""
        path = self.site.folder / "requeued"
        found = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        assert all(words.startswith("requeue ") for words in found)
        return [words.removeprefix("requeue ") for words in found]


def requeued_by_lsf(script: Path) -> set[int]:
    """The exit codes after which LSF queues a job again."""
    (codes,) = re.findall(r'^#BSUB -Q "([0-9 ]+)"$', script.read_text(), re.MULTILINE)
    return {int(code) for code in codes.split()}


def verdict(policy: Mapping[str, Any], container: str, code: int) -> str:
    """What Kubernetes does with a pod that has failed, by the job's podFailurePolicy."""
    for rule in policy["rules"]:
        asked = rule.get("onExitCodes")
        if asked == {"containerName": container, "operator": "In", "values": [code]}:
            return str(rule["action"])
    return "Count"


def quoted(words: Sequence[object]) -> str:
    """Words as a shell takes them."""
    return shlex.join(map(str, words))
