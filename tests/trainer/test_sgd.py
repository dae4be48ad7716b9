"""Gradient descent: what torch does, bit for bit, and nothing of torch's compiler."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from bloxdb.trainer.sgd import SGD
from torch import Tensor, nn

from tests.trainer.helpers import QUICK, ROOT

OPTIONS = {"lr": 0.01, "momentum": 0.9, "weight_decay": 5e-4, "fused": True}


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 5))


def stepped(descent: torch.optim.SGD, of: nn.Module, batches: list[Tensor]) -> list[Tensor]:
    for batch in batches:
        of(batch).square().mean().backward()
        descent.step()
        descent.zero_grad(set_to_none=True)
        assert all(weights.grad is None for weights in of.parameters())
    return [weights.detach().clone() for weights in of.parameters()]


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_each_step_is_that_of_torch_and_either_goes_on_from_the_others_state(momentum: float) -> None:
    batches = [torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(n)) for n in range(6)]
    found = []
    for first, then in ((torch.optim.SGD, SGD), (SGD, torch.optim.SGD), (torch.optim.SGD, torch.optim.SGD)):
        whole = network()
        descent = first(whole.parameters(), **{**OPTIONS, "momentum": momentum})
        stepped(descent, whole, batches[:3])
        state = descent.state_dict()
        other = then(whole.parameters(), **{**OPTIONS, "momentum": momentum})
        other.load_state_dict(state)
        found.append(stepped(other, whole, batches[3:]))
    assert all(bool(weights.isfinite().all()) for weights in found[2])
    for one in found[:2]:
        assert all(map(torch.equal, one, found[2]))
    with pytest.raises(ValueError, match="some parameters appear in more than one parameter group"):
        other.add_param_group({"params": list(whole.parameters())})


@pytest.mark.slow
def test_training_digits_imports_neither_torchs_compiler_nor_scikit_learn() -> None:
    code = (
        "import sys; from bloxdb.trainer.data import load_digits; from bloxdb.trainer.loop import Training\n"
        "from bloxdb.trainer.recipe import default_recipe\n"
        f"training = Training({QUICK}, default_recipe('digits', 1), load_digits(), 0)\n"
        "training.train_epoch(), training.finish(), training.optimiser.load_state_dict(training.optimiser.state_dict())\n"
        "print(*({'torch._dynamo', 'torch._inductor', 'sympy', 'sklearn', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("\n", "")
