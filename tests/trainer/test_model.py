"""The network against the golden forward passes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bloxdb.trainer.model import Network, Reduction, SearchedCell, conv_bn_relu
from torch import nn

import bloxdb
from bloxdb import Arch, Database, InvalidArchError, space
from tests.conftest import GOLDEN
from tests.trainer.helpers import seed_everything

RECIPE = json.loads((GOLDEN / "recipe.json").read_text())
LOGITS = json.loads((GOLDEN / "logits.json").read_text())

CELL = (0, 1, 1, 0, 1)


def spread(count: int, multiplier: int) -> np.ndarray:
    """The rule's numbers in -0.5 … 0.5."""
    k = np.arange(count, dtype=np.uint64)
    return (k * np.uint64(multiplier)) % np.uint64(2**32) / 2.0**32 - 0.5


def fill_by_rule(network: nn.Module) -> None:
    """Set every parameter by its own shape only."""
    for parameter in network.parameters():
        u = torch.from_numpy(spread(parameter.numel(), 2654435761)).reshape(parameter.shape)
        fan_in = parameter[0].numel()
        parameter.data = 1 + 0.2 * u if parameter.dim() == 1 else u * (24 / fan_in) ** 0.5


@pytest.mark.parametrize("entry", LOGITS, ids=lambda entry: space.vec_text(entry["arch_vec"]))
def test_logits_agree_with_the_golden_ones(entry: dict[str, list]) -> None:
    network = Network(entry["arch_vec"]).double().eval()
    fill_by_rule(network)
    images = torch.from_numpy(2 * spread(2 * 3 * 32 * 32, 1597334677)).reshape(2, 3, 32, 32)
    with torch.no_grad():
        logits = network(images)
    torch.testing.assert_close(
        logits[:, :5], torch.tensor(entry["logits_first5"], dtype=torch.float64), rtol=1e-6, atol=0
    )
    torch.testing.assert_close(
        logits.sum(1), torch.tensor(entry["logits_sum"], dtype=torch.float64), rtol=1e-6, atol=0
    )


def test_all_golden_forward_passes_are_here() -> None:
    assert len(LOGITS) == 21


def in_order_of_stages(network: Network) -> list[torch.Tensor]:
    """Parameters in the order of stem, each stage's cell and reduction, head."""
    stages = zip(network.cells, network.reductions, strict=True)
    parts = [network.stem, *(part for stage in stages for part in stage), network.head]
    return [parameter for part in parts for parameter in part.parameters()]


@pytest.mark.parametrize("entry", RECIPE["initial_weights"], ids=lambda entry: f"seed {entry['seed']}")
def test_a_seed_gives_the_releases_initial_weights(entry: dict[str, Any]) -> None:
    seed_everything(entry["seed"])
    parameters = in_order_of_stages(Network(entry["arch_vec"]))
    assert torch.rand(()).item() == entry["next_random_after_building"]
    golden = entry["parameters_in_the_originals_order"]
    assert [list(parameter.shape) for parameter in parameters] == [shape for shape, _, _ in golden]
    assert [p.flatten()[0].item() for p in parameters] == [first for _, _, first in golden]
    sums = [p.double().sum().item() for p in parameters]
    assert sums == pytest.approx([total for _, total, _ in golden], rel=1e-6, abs=1e-9)


def test_weights_can_be_drawn_as_runs_of_the_first_version_drew_them() -> None:
    seed_everything(3)
    parts = [conv_bn_relu(3, 32, 3), *(SearchedCell(CELL, c) for c in (32, 64, 128))]
    parts += [Reduction(c) for c in (32, 64, 128)]
    expected = [parameter for part in parts for parameter in part.parameters()]
    seed_everything(3)
    network = Network([*CELL] * 3, init_order="cells")
    assert [name for name, _ in network.named_children()] == ["stem", "cells", "reductions", "head"]
    found = list(network.parameters())  # states of optimisers in checkpoints are in this order
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=False))
    shapes = [parameter.shape for parameter in Network([*CELL] * 3).parameters()]
    assert shapes == [parameter.shape for parameter in found]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        *(
            ({"variant": wrong}, "there is no variant .* choose one of: public, paper")
            for wrong in ("Paper", "")
        ),
        *(
            ({"init_order": wrong}, "there is no init_order .*: cells, stages")
            for wrong in ("stage", "CELLS")
        ),
        *(({name: None}, f"{name} of a recipe is a text, not None") for name in ("variant", "init_order")),
        *(({"classes": wrong}, "the number of classes is ") for wrong in (0, -1, 2.0, "10", True)),
    ],
)
def test_a_network_that_there_is_not_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(bloxdb.QueryError, match=told):
        Network([*CELL] * 3, **given)


def test_a_network_of_the_paper_is_one_whose_first_operations_are_given_twice_as_much() -> None:
    vec = LOGITS[3]["arch_vec"]
    images = torch.from_numpy(2 * spread(2 * 3 * 32 * 32, 1597334677)).reshape(2, 3, 32, 32)
    plain, paper = Network(vec).double().eval(), Network(vec, variant="paper").double().eval()
    fill_by_rule(plain)
    fill_by_rule(paper)
    with torch.no_grad():
        assert not torch.allclose(plain(images), paper(images))
        for cell in plain.cells:
            cell.op1.register_forward_pre_hook(lambda _, given: (given[0] + given[0],))
        assert torch.equal(plain(images), paper(images))


class Times(nn.Module):
    """An operation that can be followed by eye."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.seen: list[float] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(x.item())
        return x * self.factor


@pytest.mark.parametrize("wires", [(p, i, s) for p in (0, 1) for i in (0, 1) for s in (0, 1) if p or i or s])
@pytest.mark.parametrize(("variant", "seen"), [("public", 7.0), ("paper", 14.0)])
def test_a_cell_is_wired_as_described_and_its_first_operation_sees_x_and_in_the_paper_twice_x(
    wires: tuple[int, int, int], variant: str, seen: float
) -> None:
    prev, inp, skip = wires
    cell = SearchedCell((0, 1, *wires), 4, variant)
    op1, op2 = Times(3.0), Times(5.0)
    if cell.op1 is not None:
        cell.op1 = op1  # type: ignore[assignment]
    if cell.op2 is not None:
        cell.op2 = op2  # type: ignore[assignment]
    x, h1 = 7.0, 3.0 * seen
    h2 = 5.0 * (prev * h1 + inp * x)
    assert cell(torch.tensor(x)).item() == h2 + skip * h1
    assert op1.seen == ([seen] if prev or skip else [])
    assert op2.seen == ([prev * h1 + inp * x] if prev or inp else [])


def test_an_operation_that_nothing_reads_is_not_built() -> None:
    raw = Network([2, 1, 0, 1, 0] * 3)
    canonical = Network(space.canonical([2, 1, 0, 1, 0] * 3))
    assert sum(p.numel() for p in raw.parameters()) == sum(p.numel() for p in canonical.parameters())


def plainly(network: nn.Module) -> nn.Module:
    """The same network of torch's own layers: BatchNorm that counts, ReLU with an output of its own."""
    for name, layer in list(network.named_modules()):
        owner, _, last = name.rpartition(".")
        if isinstance(layer, nn.BatchNorm2d):
            other: nn.Module = nn.BatchNorm2d(layer.num_features)
            other.load_state_dict(layer.state_dict())
            setattr(network.get_submodule(owner), last, other)
        if isinstance(layer, nn.ReLU):
            setattr(network.get_submodule(owner), last, nn.ReLU())
    return network


@pytest.mark.parametrize(
    "vec", ["[[[0],[1,1,0,1]],[[1],[2,1,0,1]],[[2],[0,1,1,0]]]", space.vec_text(space.arch_vec(91_124))]
)
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_layers_in_place_and_without_a_count_give_the_same_bits_gradients_and_names(
    vec: str, precision: torch.dtype
) -> None:
    found = []
    for change in (lambda network: network, plainly):
        torch.manual_seed(0)
        network = change(Network(vec, 10))
        images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
            logits = network(images)
        logits.float().square().sum().backward()
        counts = [name for name, _ in network.named_buffers() if name.endswith("num_batches_tracked")]
        assert counts
        state = {name: value for name, value in network.state_dict().items() if name not in counts}
        gradients = {name: value.grad for name, value in network.named_parameters()}
        network.eval()
        found.append({**state, **gradients, "logits": logits, "measured": network(images)})
    assert list(found[0]) == list(found[1])
    for name, value in found[0].items():
        assert torch.equal(value, found[1][name]), name


@pytest.mark.parametrize("size", [8, 9, 15, 32])
def test_a_reduction_halves_any_size(size: int) -> None:
    assert Reduction(4)(torch.zeros(1, 4, size, size)).shape == (1, 8, size // 2, size // 2)


def test_a_vector_without_a_path_is_refused() -> None:
    with pytest.raises(InvalidArchError, match="no path"):
        Network([0, 0, 0, 0, 0] * 3)


def test_golden_files_are_read_from_the_tests_own_data() -> None:
    assert Path(__file__).parents[1] in GOLDEN.parents


KEYS = {
    "a vector": space.arch_vec(53_215),
    "its text": space.vec_text(space.arch_vec(53_215)),
    "an array": np.concatenate([part for cell in space.arch_vec(53_215) for part in cell]),
    "a tensor": torch.tensor([op for cell in space.arch_vec(53_215) for part in cell for op in part]),
    "a hash": space.model_hash(53_215),
    "the beginning of a hash": space.model_hash(53_215)[:8].upper(),
    "an index": np.int64(53_215),
    "the text of an index": "53215",
}


def test_whatever_names_an_architecture_makes_its_network(empty_db: Database) -> None:
    def weights(key: object) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        return Network(key, 10).state_dict()

    expected = weights(53_215)
    for what, key in {**KEYS, "an Arch": Arch.get(53_215, empty_db)}.items():
        found = weights(key)
        assert list(found) == list(expected), what
        assert all(torch.equal(found[name], value) for name, value in expected.items()), what


@pytest.mark.parametrize("key", [True, 1.0, None, "ffffffff", space.NUM_ARCHS])
def test_what_names_no_architecture_is_refused(key: object) -> None:
    with pytest.raises(InvalidArchError):
        Network(key)


def exported(network: nn.Module, images: torch.Tensor) -> nn.Module:
    return torch.export.export(network, (images,)).module()


def scripted(network: nn.Module, images: torch.Tensor) -> nn.Module:
    script: nn.Module = torch.jit.script(network)
    return script


def traced(network: nn.Module, images: torch.Tensor) -> nn.Module:
    return torch.fx.symbolic_trace(network)


# between them they have each way to wire a cell; the last one has a cell without a first operation
ARCHS = [0, 405, 62_000, space.NUM_ARCHS - 1, [0, 1, 1, 1, 0, 0, 1, 0, 0, 1, 2, 1, 0, 1, 0]]
WAYS = [(make, key) for make in (scripted, traced) for key in ARCHS] + [
    (exported, key) for key in (405, 62_000)
]


@pytest.mark.parametrize(("make", "key"), WAYS)
@pytest.mark.parametrize("variant", ["public", "paper"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch is about to leave scripts behind
def test_scripts_graphs_and_exported_programs_compute_what_the_network_does(
    key: object, variant: str, make: Callable[[nn.Module, torch.Tensor], nn.Module]
) -> None:
    network = Network(key, 10, variant=variant).eval()
    images = torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(make(network, images)(images), network(images))


@pytest.mark.parametrize("make", [scripted, traced])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_script_and_a_graph_can_be_trained(
    make: Callable[[nn.Module, torch.Tensor], nn.Module],
) -> None:
    images, found = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)), []
    for change in (lambda network, images: network, make):
        torch.manual_seed(0)
        network = change(Network(405, 10), images)
        network(images).square().sum().backward()
        gradients = {name: weights.grad for name, weights in network.named_parameters()}
        found.append(gradients | dict(network.named_buffers()))
    for name, value in found[1].items():  # a graph has no buffer that nothing reads
        torch.testing.assert_close(value, found[0][name], msg=name)
