"""The facts about software and hardware that a run records."""

from __future__ import annotations

import torch
from bloxdb.trainer.environment import environment

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
