"""The 12 facts about software and hardware that a run records."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import torch

import bloxdb
from bloxdb.codecs.columns import ENV_COLUMNS


def environment(device: torch.device) -> dict[str, str]:
    """The fields of `bloxdb.Env`; what does not apply is empty, `gpu` names the CPU if that trains."""
    cuda = device.type == "cuda"
    found = {
        "codebase_commit": _commit(),
        "codebase_version": bloxdb.__version__,
        "cuda": _driver("cuda_version") if cuda else "",
        "driver": _driver("driver_version") if cuda else "",
        "gpu": torch.cuda.get_device_name(device) if cuda else f"cpu: {_cpu_name()}",
        "platform": platform.platform(),
        "ptflops_version": f"bloxdb {bloxdb.__version__}, as ptflops 0.6.9",
        "python": ".".join(str(part) for part in sys.version_info),
        "torch_commit": torch.version.git_version or "",
        "torch_cuda_version": torch.version.cuda or "",
        "torch_version": str(torch.__version__),
        "torchvision_version": _version("torchvision"),
    }
    return {name: found[name] for name in ENV_COLUMNS}


def _version(package: str) -> str:
    """Of an installed package, which need not be imported for that."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _driver(field: str) -> str:
    """What the GPU's own tool says; empty where it is not there."""
    flag = "--version" if field == "cuda_version" else "--query-gpu=driver_version"
    done = _run("nvidia-smi", flag, *([] if flag == "--version" else ["--format=csv,noheader"]))
    lines = done.splitlines()
    if field == "cuda_version":
        lines = [line.rpartition(":")[2].strip() for line in lines if "CUDA" in line]
    return lines[0] if lines else ""


def _commit() -> str:
    """The commit of a checked-out bloxdb, or of one installed from a repository."""
    folder = Path(bloxdb.__file__).parents[1]
    if (folder / ".git").exists():
        return _run("git", "-C", str(folder), "rev-parse", "HEAD").strip()
    try:
        origin = metadata.distribution("bloxdb").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return ""
    return str(json.loads(origin or "{}").get("vcs_info", {}).get("commit_id", ""))


def _run(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
