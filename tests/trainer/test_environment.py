"""The facts about software and hardware that a run records."""

from __future__ import annotations

import re
import sys

import torch
from bloxdb.trainer import devices
from bloxdb.trainer.environment import _version, environment

import bloxdb
from bloxdb.measures import ENVIRONMENT


def test_the_environment_has_its_twelve_fields() -> None:
    found = environment(torch.device("cpu"))
    assert tuple(found) == ENVIRONMENT
    assert all(isinstance(value, str) for value in found.values())
    assert found["codebase_version"] == bloxdb.__version__
    assert found["torch_version"] == torch.__version__
    assert (found["driver"], found["cuda"]) == ("", "")
    assert found["gpu"].startswith("cpu: ")


def test_the_environment_is_described_by_the_device_that_trains() -> None:
    for name, kind in devices.KINDS.items():
        if kind.count():
            found = environment(torch.device(name))
            assert {field: found[field] for field in ("gpu", "cuda", "driver")} == kind.describe(
                torch.device(name)
            )


def test_the_commit_is_one_or_empty_and_so_is_the_version_of_what_is_not_installed() -> None:
    found = environment(torch.device("cpu"))
    assert re.fullmatch("([0-9a-f]{40})?", found["codebase_commit"])
    assert found["python"].split(".")[:2] == [str(part) for part in sys.version_info[:2]]
    assert _version("a-package-that-nobody-has") == ""
