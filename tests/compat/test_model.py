"""The torch network under the original's name."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

import bloxdb.compat as blox
from bloxdb import space
from bloxdb.errors import InvalidArchError
from tests.compat.test_infos import NO_PATH


def test_a_network_has_the_parameters_of_the_space_and_gives_logits() -> None:
    vec = [[[0], [1, 0, 1, 0]], [[2], [0, 1, 1, 1]], [[0], [0, 0, 1, 1]]]
    network = blox.model.get_model(vec)
    used = blox.model.get_model(space.canonical(vec))
    assert sum(one.numel() for one in used.parameters()) == space.arch_cost(space.arch_index(vec)).params
    with torch.inference_mode():
        assert network.eval()(torch.zeros(2, 3, 32, 32)).shape == (2, 100)
        assert blox.model.get_model(vec, 10).eval()(torch.zeros(1, 3, 8, 8)).shape == (1, 10)


def test_a_vector_that_is_no_network_is_refused() -> None:
    for vec in (NO_PATH, [[[0], [0, 1, 0]]] * 3):
        with pytest.raises(InvalidArchError):
            blox.model.get_model(vec)


def test_without_torch_the_error_says_what_to_install() -> None:
    script = (
        "import sys; sys.modules['torch'] = None\n"
        "import bloxdb.compat as blox\n"
        "try:\n    blox.model.get_model([0, 0, 1, 0, 0] * 3)\n"
        "except ImportError as error:\n    print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "MissingExtraError the trainer needs torch: pip install 'bloxdb[train]'\n"
