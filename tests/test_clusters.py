"""The scripts of examples/clusters: each is run, interrupted, queued again until it has ended, and nothing is lost."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.helpers import bloxdb
from tests.schedulers import ROOT, Site, Slurm, Task, quoted, requeued_by_lsf, verdict
from tests.trainer.helpers import ask, own_images, results

pytestmark = pytest.mark.slow

SCRIPTS = ROOT / "examples" / "clusters"
GUIDE = ROOT / "docs" / "clusters.md"
EPOCHS = 8
ARCHS = (404, 408)
WHAT = [
    *("--dataset", "own.npz", "--range", *ARCHS, "--epochs", EPOCHS, "--gpus", "none", "--threads", 1),
    *("--checkpoint-every", 1, "--heartbeat", 1, "--dead-after", 5),
]
TRY_AGAIN = 75


@pytest.fixture
def site(tmp_path: Path) -> Site:
    own_images(tmp_path)
    return Site(tmp_path)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Any, ...]]:
    """All numbers of a training that nobody disturbs."""
    folder = own_images(tmp_path_factory.mktemp("undisturbed")).parent
    bloxdb("train", "--db", "blox.db", *WHAT, cwd=folder)
    found = results(folder / "blox.db")
    assert len(found) == (ARCHS[1] - ARCHS[0]) * (1 + EPOCHS)
    return found


def has_epochs(path: Path, at_least: int = 1) -> bool:
    """Whether training has come so far."""
    if not path.exists() or not ask(path, "SELECT 1 FROM sqlite_master WHERE name = 'epochs'"):
        return False
    return bool(ask(path, "SELECT count(*) FROM epochs")[0][0] >= at_least)


def merged(site: Site, parts: list[str], example: str) -> list[tuple[Any, ...]]:
    """All numbers of the databases of all parts, none of which has a run of another, joined as it is told."""
    runs = sum(ask(site.folder / part, "SELECT count(*) FROM runs")[0][0] for part in parts)
    assert runs == ARCHS[1] - ARCHS[0]
    (joining,) = re.findall(r"^#   (bloxdb init .*)$", (SCRIPTS / example).read_text(), re.MULTILINE)
    subprocess.run(["bash", "-c", joining], cwd=site.folder, env=site.environment(), check=True)
    return results(site.folder / "blox.db")


def test_an_array_of_slurm_jobs_is_queued_again_until_each_part_has_ended(
    site: Site, undisturbed: list[tuple[Any, ...]]
) -> None:
    slurm = Slurm(site, SCRIPTS / "slurm-array.sh", *map(str, WHAT))
    paths = [site.folder / f"blox-{index}.db" for index in (0, 1)]
    first = slurm.task(0, (0, 1), PARTS="2")
    first.wait_for(lambda: has_epochs(paths[0], 2))
    slurm.tell(first)  # the time is nearly over
    assert first.ended() == TRY_AGAIN
    assert slurm.requeued() == ["7_0"]
    second = slurm.task(1, (0, 1), PARTS="2")
    second.wait_for(lambda: has_epochs(paths[1]))
    second.tell_all()  # scancel, after which it is not to come back
    assert second.ended() == TRY_AGAIN
    assert slurm.requeued() == []
    second = slurm.task(1, (0, 1), PARTS="2")
    second.wait_for(lambda: has_epochs(paths[1], 4))
    second.kill()  # the node fails, after which Slurm itself queues the task again
    assert second.ended() == -signal.SIGKILL
    assert slurm.requeued() == []
    again = [slurm.task(index, (0, 1), PARTS="2") for index in (0, 1)]
    assert [task.ended() for task in again] == [0, 0]
    assert slurm.requeued() == []
    told = first.log.read_text()
    assert "stopped after epoch" in told
    assert "goes on after epoch" in told  # of the second try, appended
    assert merged(site, ["blox-0.db", "blox-1.db"], "slurm-array.sh") == undisturbed


def test_nodes_of_one_slurm_job_share_a_database(site: Site, undisturbed: list[tuple[Any, ...]]) -> None:
    slurm = Slurm(site, SCRIPTS / "slurm-shared.sh", *map(str, WHAT))
    path = site.folder / "shared.db"
    first = slurm.job(2, BLOXDB_URL=str(path))
    first.wait_for(lambda: has_epochs(path, 3))
    slurm.tell(first)
    assert first.ended() == TRY_AGAIN
    assert slurm.requeued() == ["7"]
    assert ask(path, "SELECT count(*) FROM runs WHERE status = 'running'") == [(0,)]
    assert slurm.job(2, BLOXDB_URL=str(path)).ended() == 0
    assert slurm.requeued() == []
    assert results(path) == undisturbed


def test_a_slurm_job_of_several_nodes_that_is_cancelled_does_not_come_back(site: Site) -> None:
    slurm = Slurm(site, SCRIPTS / "slurm-shared.sh", *map(str, WHAT))
    path = site.folder / "shared.db"
    job = slurm.job(1, BLOXDB_URL=str(path))
    job.wait_for(lambda: has_epochs(path))
    job.tell_all()
    assert job.ended() == -signal.SIGTERM
    assert slurm.requeued() == []


def test_lsf_queues_again_what_has_runs_left(site: Site, undisturbed: list[tuple[Any, ...]]) -> None:
    script = SCRIPTS / "lsf-array.sh"
    environment = {"PARTS": "2", "TRAIN": quoted(WHAT)}
    for index in (1, 2):
        told = {"LSB_JOBINDEX": str(index), "LSB_JOBINDEX_END": "2", **environment}
        task = Task(["bash", str(script)], site, f"blox-{index}.log", **told)
        if index == 1:
            task.wait_for(lambda: has_epochs(site.folder / "blox-1.db"))
            task.tell_all()
            assert task.ended() in requeued_by_lsf(script)
            task = Task(["bash", str(script)], site, f"blox-{index}.log", **told)
        assert task.ended() == 0
    assert merged(site, ["blox-1.db", "blox-2.db"], "lsf-array.sh") == undisturbed


def test_a_pod_of_kubernetes_gives_way_to_another_until_its_index_has_ended(
    site: Site, undisturbed: list[tuple[Any, ...]]
) -> None:
    job = yaml.safe_load((SCRIPTS / "kubernetes.yaml").read_text())["spec"]
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    environment = {one["name"]: one["value"] for one in container["env"]}
    assert int(environment["PARTS"]) == job["completions"]
    assert (job["completionMode"], pod["restartPolicy"]) == ("Indexed", "Never")
    assert container["volumeMounts"][0]["mountPath"] == environment["RESULTS"]
    (grace,) = re.findall(r"--grace (\d+)", container["command"][-1])
    assert int(grace) < pod["terminationGracePeriodSeconds"]
    environment |= {"PARTS": "2", "RESULTS": ".", "TRAIN": quoted(WHAT)}
    verdicts = []
    for index in (0, 1):
        code = None
        while code != 0:
            told = {**environment, "JOB_COMPLETION_INDEX": str(index)}
            task = Task(container["command"], site, f"pod-{index}.log", **told)
            if (index, code) == (0, None):
                task.wait_for(lambda: has_epochs(site.folder / "blox-0.db"))
                task.tell_first()
            code = task.ended()
            verdicts += [verdict(job["podFailurePolicy"], container["name"], code)] if code else []
            assert len(verdicts) < 3, task.log.read_text()
    assert verdicts == ["Ignore"]
    wrong = Task(container["command"], site, "wrong.log", **environment, JOB_COMPLETION_INDEX="3").ended()
    assert verdict(job["podFailurePolicy"], container["name"], wrong) == "FailJob"
    assert merged(site, ["blox-0.db", "blox-1.db"], "kubernetes.yaml") == undisturbed


SSH = """
for host; do [[ $host == node* ]] && break; done
echo "$host" >> "$SITE/calls"
if [[ $host == node2 && ! -e "$SITE/node2/was-away" ]]; then touch "$SITE/node2/was-away"; exit 255; fi
cd "$SITE/$host" && echo $$ > pid && exec bash -c "exec ${!#}"
"""
SCP = """
[[ $1 == -q ]] && shift
cp "$SITE/${1%%:*}/${1#*:}" "$2"
"""


def test_a_loop_over_machines_asks_again_and_joins_what_they_have(
    site: Site, undisturbed: list[tuple[Any, ...]]
) -> None:
    site.tool("ssh", SSH)
    site.tool("scp", SCP)
    for host in ("node1", "node2"):
        (site.folder / host).mkdir()
        shutil.copy(site.folder / "own.npz", site.folder / host)
    words = [str(SCRIPTS / "ssh-loop.sh"), *map(str, WHAT)]
    loop = Task(words, site, "loop.log", HOSTS="node1 node2", PAUSE="0.2")
    loop.wait_for(lambda: has_epochs(site.folder / "node1" / "blox-1.db"))
    os.kill(int((site.folder / "node1" / "pid").read_text()), signal.SIGTERM)
    assert loop.ended(400) == 0, loop.log.read_text()
    assert results(site.folder / "blox.db") == undisturbed
    assert sorted((site.folder / "calls").read_text().split()) == ["node1", "node1", "node2", "node2"]


def test_the_loop_of_the_guide_ends_when_nothing_is_left(
    site: Site, undisturbed: list[tuple[Any, ...]]
) -> None:
    (loop,) = re.findall(r"```sh\n(until .*?)```", GUIDE.read_text(), re.DOTALL)
    assert loop.count("--missing --precision tf32") == 1
    script = loop.replace("--missing --precision tf32", f"{quoted(WHAT)} & echo $! > pid; wait $!")
    task = Task(["bash", "-c", script], site, "loop.log")
    task.wait_for(lambda: has_epochs(site.folder / "blox.db"))
    os.kill(int((site.folder / "pid").read_text()), signal.SIGTERM)
    assert task.ended() == 0
    assert "goes on after epoch" in task.log.read_text()
    assert results(site.folder / "blox.db") == undisturbed


def test_a_machine_that_never_answers_is_given_up_and_named(site: Site) -> None:
    site.tool("ssh", "exit 255\n")
    words = [str(SCRIPTS / "ssh-loop.sh"), *map(str, WHAT)]
    loop = Task(words, site, "loop.log", HOSTS="node1", PAUSE="0.01", TRIES="3")
    assert loop.ended() == 1
    assert "node1 did not finish; blox-1.log says why" in loop.log.read_text()
    assert (site.folder / "blox-1.log").read_text() == "node1: was away 3 times\n"


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.sh")), ids=lambda path: str(path.name))
def test_scripts_can_be_called(script: Path) -> None:
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)


def test_each_example_is_told_of_and_run() -> None:
    guide, here = GUIDE.read_text(), Path(__file__).read_text()
    for path in SCRIPTS.iterdir():
        assert f"examples/clusters/{path.name}" in guide
        assert f'"{path.name}"' in here
