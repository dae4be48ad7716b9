"""Regions that are compiled once a kind, whoever's weights they are given."""

from __future__ import annotations

import pytest
import torch
from bloxdb.trainer import regions
from bloxdb.trainer.loop import Training
from bloxdb.trainer.model import Network
from bloxdb.trainer.regions import Regions
from torch import nn

import bloxdb
from bloxdb import Database, space
from tests.trainer.helpers import QUICK, digits_recipe, job, some_digits, train

BACKEND = "aot_eager"  # forwards and backwards as graphs of torch's own kernels, without a compiler


def one(arch: int, seed: int) -> Network:
    torch.manual_seed(seed)
    return Network(space.arch_vec(arch), 10)


def gradients(network: Network, forward: nn.Module, images: torch.Tensor) -> dict[str, torch.Tensor]:
    network.zero_grad()
    forward(images).square().mean().backward()
    return {name: weights.grad for name, weights in network.named_parameters() if weights.grad is not None}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch's compiler, about itself
def test_a_region_is_compiled_once_and_each_network_trains_its_own_weights() -> None:
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    before, counts = len(regions._compiled), []
    archs = [QUICK, QUICK + 1, QUICK + 45, QUICK, QUICK + 2]
    for seed, arch in enumerate(archs):
        network, plain = one(arch, seed), one(arch, seed)
        found = gradients(network, Regions(network, BACKEND), images)
        expected = gradients(plain, plain, images)
        assert list(found) == list(expected)
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, msg=name)
        for (name, value), other in zip(network.named_buffers(), plain.buffers(), strict=True):
            torch.testing.assert_close(value, other, msg=name)
        counts.append(len(regions._compiled) - before)
    # the first has three cells and three reductions, the next ones a block each that is new, the fourth nothing
    assert counts == [6, 7, 8, 8, 9]


def test_all_networks_have_138_kinds_of_region() -> None:
    kinds = set()
    for block in range(45):
        network = Network(space.arch_vec(block + 45 * block + 2025 * block), 10)
        kinds |= {regions._kind(part) for part in (*network.cells, *network.reductions)}
    assert len(kinds) == 3 * 45 + 3


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_training_with_regions_measures_and_trains_about_as_one_without() -> None:
    data, curves = some_digits(72), []  # a whole batch, and one of 8
    for compiled in (False, True):
        training = Training(space.arch_vec(QUICK), digits_recipe(2), data, 0)
        if compiled:
            training.forward = Regions(training.network, BACKEND)
        curves.append([training.train_epoch() for _ in range(2)])
    for plain, region in zip(*curves, strict=True):
        assert region.train.loss == pytest.approx(plain.train.loss, rel=1e-3)
        assert region.val.loss == pytest.approx(plain.val.loss, rel=1e-3)


def test_compiling_is_refused_on_a_cpu(empty_db: Database) -> None:
    with pytest.raises(bloxdb.QueryError, match="compiling takes minutes on a CPU and gains nothing there"):
        train(job(empty_db, [QUICK], digits_recipe(1, compile=True)))
    assert empty_db.rows("SELECT count(*) AS runs FROM runs") == [{"runs": 0}]
