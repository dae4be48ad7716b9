"""FLOPs and parameters against the golden digest, and against the torch model."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import pytest
import torch
from bloxdb.trainer.model import Network
from torch import nn

from bloxdb import space
from bloxdb.space import costs


def test_all_costs_have_the_golden_digest(golden: Path) -> None:
    digests = json.loads((golden / "digests.json").read_text())
    data = costs.all_costs().astype("<i8").tobytes()
    assert hashlib.sha256(data).hexdigest() == digests["sha256_of_all_flops_params_int64le_in_index_order"]


def test_single_costs_equal_the_golden_ones(golden: Path) -> None:
    with (golden / "archs.csv").open() as stream:
        for row in csv.DictReader(stream):
            assert costs.arch_cost(int(row["index"])) == (int(row["flops"]), int(row["params"]))


def count_flops(network: nn.Module) -> int:
    """Run one image through, and count every layer as ptflops 0.6.9 does."""
    total = 0

    def count(layer: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        nonlocal total
        if isinstance(layer, nn.Conv2d):
            kernel = layer.in_channels // layer.groups * layer.kernel_size[0] * layer.kernel_size[1]
            total += output.numel() * (kernel + 1)
        elif isinstance(layer, nn.BatchNorm2d):
            total += 2 * output.numel()
        elif isinstance(layer, nn.ReLU):
            total += output.numel()
        elif isinstance(layer, nn.AdaptiveAvgPool2d):
            total += inputs[0].numel()
        elif isinstance(layer, nn.Linear):
            total += layer.weight.numel() + layer.bias.numel()

    handles = [module.register_forward_hook(count) for module in network.modules()]  # type: ignore[arg-type]
    with torch.no_grad():
        network.eval()(torch.zeros(1, 3, 32, 32))
    for handle in handles:
        handle.remove()
    return total


@pytest.mark.parametrize("block", range(space.NUM_BLOCKS))
def test_the_table_equals_what_the_torch_model_computes(block: int) -> None:
    # one block in one stage, then in the next, …: with the digest above this pins all 45 x 3 entries
    for stage in range(space.STAGES):
        index = block * space.NUM_BLOCKS**stage
        network = Network(space.arch_vec(index))
        params = sum(parameter.numel() for parameter in network.parameters())
        assert costs.arch_cost(index) == (count_flops(network), params)
