"""The 12 facts about software and hardware that a run records."""

from __future__ import annotations

import json
import platform
import sys
from importlib import metadata
from pathlib import Path

import torch

from bloxdb.measures import ENVIRONMENT

from . import devices


def environment(device: torch.device) -> dict[str, str]:
    """The fields of `bloxdb.Env`; what does not apply is empty, `gpu` names the CPU if that trains."""
    version = _version("bloxdb")
    found = {
        "codebase_commit": _commit(),
        "codebase_version": version,
        **devices.kind_of(device).describe(device),
        "platform": platform.platform(),
        "ptflops_version": f"bloxdb {version}, as ptflops 0.6.9",
        "python": ".".join(str(part) for part in sys.version_info),
        "torch_commit": torch.version.git_version or "",
        "torch_cuda_version": torch.version.cuda or "",
        "torch_version": str(torch.__version__),
        "torchvision_version": _version("torchvision"),
    }
    return {name: found[name] for name in ENVIRONMENT}


def _version(package: str) -> str:
    """Of an installed package, which need not be imported for that."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _commit() -> str:
    """The commit of a checked-out bloxdb, or of one installed from a repository."""
    folder = Path(__file__).resolve().parents[1]
    if (folder / ".git").exists():
        return devices.run("git", "-C", str(folder), "rev-parse", "HEAD").strip()
    try:
        origin = metadata.distribution("bloxdb").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return ""
    return str(json.loads(origin or "{}").get("vcs_info", {}).get("commit_id", ""))
