"""Kernels that `torch.compile` makes, for each kind of region once, whoever's weights it is given.

A network is three cells, each of one of 45 blocks, and three reductions: 138 kinds of region in all.
Compiled whole, each of 91,125 networks would be compiled anew, and after the first few torch gives up
and says nothing. A region's weights are inputs here, so that the next architecture with such a block
finds it compiled. What was compiled lies in torch's cache on the disk, which all workers of a machine
share.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import FunctionType
from typing import cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from .model import Network

Kind = tuple[object, ...]
Region = Callable[[dict[str, Tensor], Tensor], Tensor]

_compiled: dict[tuple[Kind, bool, str], Region] = {}


class Regions(nn.Module):
    """A network whose cells and reductions are compiled.

    Parameters
    ----------
    network
        The network; it keeps its weights, and trains with them.
    backend
        What makes kernels, as `torch.compile` calls it.
    """

    def __init__(self, network: Network, backend: str = "inductor") -> None:
        super().__init__()
        self.network = network
        self._backend = backend
        self._kinds = [_kind(cell) for cell in network.cells], [_kind(part) for part in network.reductions]

    def forward(self, images: Tensor) -> Tensor:
        """float32 (N, 3, H, W) to logits (N, classes)."""
        x: Tensor = self.network.stem(images)
        parts = zip(self.network.cells, self.network.reductions, *self._kinds, strict=True)
        for cell, reduction, kind_of_cell, kind_of_reduction in parts:
            x = self._region(kind_of_cell, cell)(_weights(cell), x)
            x = self._region(kind_of_reduction, reduction)(_weights(reduction), x)
        logits: Tensor = self.network.head(x)
        return logits

    def _region(self, kind: Kind, example: nn.Module) -> Region:
        key = kind, example.training, self._backend
        if key not in _compiled:
            _compiled[key] = _compile(example, self._backend)
        return _compiled[key]


def _kind(part: nn.Module) -> Kind:
    """What two regions that differ in their weights only have in common: wires, layers and sizes."""
    wires = tuple(
        (name, value)
        for name, value in sorted(vars(part).items())
        if name != "training" and isinstance(value, bool | int | str)
    )
    return type(part).__name__, wires, repr(part)


def _weights(part: nn.Module) -> dict[str, Tensor]:
    return dict(part.named_parameters()) | dict(part.named_buffers())


def _compile(example: nn.Module, backend: str) -> Region:
    """Compile one like the example, with sizes as they are: a whole batch and the last one are two."""
    pattern = copy.deepcopy(example).to("meta")  # the layers, without memory for weights

    def region(weights: dict[str, Tensor], x: Tensor) -> Tensor:
        result: Tensor = functional_call(pattern, weights, (x,))
        return result

    # torch counts what it has compiled by the code of a function, and stops at eight; each kind has its own
    own = FunctionType(
        region.__code__.replace(co_name=f"region_{len(_compiled)}"),
        region.__globals__,
        closure=region.__closure__,
    )
    return cast(Region, torch.compile(own, backend=backend, dynamic=False, fullgraph=True))
