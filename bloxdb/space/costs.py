"""FLOPs and parameters of every architecture, from one table of blocks and stages.

FLOPs are multiply-accumulates for one 3x32x32 image, counted as ptflops 0.6.9 does: a convolution's
multiply-accumulates plus one bias add an output element, 2 a BatchNorm output element, 1 a ReLU element, 1
an *input* element of an average pool, weights plus biases of the linear layer. Sigmoid, the product of
squeeze-and-excitation and element-wise additions count nothing.

Both figures add up over operations and stages, so 45 x 3 pairs give all 91,125.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bloxdb.errors import BloxFormatError
from bloxdb.space.cells import BLOCKS, NUM_ARCHS, NUM_BLOCKS, OPS, STAGES, blocks_of

IMAGE_SIZE = 32
STEM_CHANNELS = 32
CLASSES = 100


class Cost(NamedTuple):
    """What a network, or a part of one, costs.

    Attributes
    ----------
    flops
        Multiply-accumulates for one 3x32x32 image.
    params
        Trainable parameters.
    """

    flops: int
    params: int

    def __add__(self, other: object) -> Cost:
        if not isinstance(other, Cost):
            return NotImplemented
        return Cost(self.flops + other.flops, self.params + other.params)

    def times(self, count: int) -> Cost:
        """The cost of several equal parts.

        Parameters
        ----------
        count
            How many parts there are.

        Returns
        -------
        Cost
            The sum of their costs.
        """
        return Cost(self.flops * count, self.params * count)


def _conv(c_in: int, c_out: int, kernel: int, pixels: int, groups: int = 1) -> Cost:
    """A convolution with bias; `pixels` counts one channel of its output."""
    weights = c_in // groups * c_out * kernel * kernel
    return Cost(weights * pixels + c_out * pixels, weights + c_out)


def _conv_bn_relu(c_in: int, c_out: int, kernel: int, pixels: int, groups: int = 1) -> Cost:
    norm_and_relu = Cost(3 * c_out * pixels, 2 * c_out)
    return _conv(c_in, c_out, kernel, pixels, groups) + norm_and_relu


def _conv_op(channels: int, pixels: int) -> Cost:
    return _conv_bn_relu(channels, channels, 3, pixels).times(4)


def _mbconv_op(channels: int, pixels: int) -> Cost:
    wide = 2 * channels
    pool_and_relu = Cost(wide * pixels + wide, 0)
    squeeze_excite = pool_and_relu + _conv(wide, wide, 1, 1).times(2)
    expand = _conv_bn_relu(channels, wide, 3, pixels)
    project = _conv_bn_relu(wide, channels, 1, pixels)
    return (expand + squeeze_excite + project).times(2)


def _bconv_op(channels: int, pixels: int) -> Cost:
    total = Cost(0, 0)
    for inner in (channels // 2, channels, 2 * channels):
        total += _conv_bn_relu(channels, inner, 1, pixels)
        total += _conv_bn_relu(inner, inner, 5, pixels, groups=inner)
        total += _conv_bn_relu(inner, channels, 1, pixels)
    return total.times(2)


_OP_COSTS = {"conv": _conv_op, "mbconv": _mbconv_op, "bconv": _bconv_op}


def _reduction(channels: int, pixels: int) -> Cost:
    """From C to 2C channels; `pixels` counts one channel of its output."""
    wide = 2 * channels
    return (
        _conv_bn_relu(channels, wide, 3, pixels)
        + _conv_bn_relu(wide, wide, 3, pixels)
        + _conv_bn_relu(channels, wide, 2, pixels)
    )


@functools.cache
def block_costs() -> npt.NDArray[np.int64]:
    """Costs of the blocks: shape (45 blocks, 3 stages, 2), the last axis FLOPs and parameters."""
    table = np.zeros((NUM_BLOCKS, STAGES, 2), dtype=np.int64)
    for stage in range(STAGES):
        channels, pixels = STEM_CHANNELS << stage, (IMAGE_SIZE >> stage) ** 2
        ops = [_OP_COSTS[name](channels, pixels) for name in OPS]
        for block in BLOCKS:
            table[block.index, stage] = np.sum([ops[op] for op in block.ops], axis=0)
    table.flags.writeable = False
    return table


@functools.cache
def skeleton_cost() -> Cost:
    """What every architecture has: stem, three reductions, pool and linear head."""
    total = _conv_bn_relu(3, STEM_CHANNELS, 3, IMAGE_SIZE**2)
    for stage in range(STAGES):
        total += _reduction(STEM_CHANNELS << stage, (IMAGE_SIZE >> (stage + 1)) ** 2)
    features, pixels = STEM_CHANNELS << STAGES, (IMAGE_SIZE >> STAGES) ** 2
    linear = features * CLASSES + CLASSES
    return total + Cost(features * pixels + linear, linear)


def arch_cost(index: int) -> Cost:
    """FLOPs and parameters of one architecture.

    Parameters
    ----------
    index
        The architecture index, 0 … 91124.

    Returns
    -------
    Cost
        Multiply-accumulates for one 3x32x32 image, and trainable parameters.

    Raises
    ------
    InvalidArchError
        The index is out of range.

    Examples
    --------
    >>> arch_cost(0)
    Cost(flops=278475876, params=2917604)
    """
    table = block_costs()
    total = skeleton_cost()
    for stage, block in enumerate(blocks_of(index)):
        total += Cost(*table[block.index, stage].tolist())
    return total


def all_costs() -> npt.NDArray[np.int64]:
    """Costs of all architectures in index order: shape (91125, 2), FLOPs and parameters."""
    table = block_costs()
    costs = np.array(skeleton_cost(), dtype=np.int64) + (
        table[None, None, :, 0] + table[None, :, None, 1] + table[:, None, None, 2]
    )
    return costs.reshape(NUM_ARCHS, 2)


def check_costs(ids: npt.NDArray[np.int64], costs: Mapping[str, npt.NDArray[Any]], source: str = "") -> None:
    """Refuse costs that are not those of the architectures: whoever takes costs from outside asks here.

    Parameters
    ----------
    ids
        Architecture indices, (n,).
    costs
        Of `Cost`'s fields, the whole numbers that are told, (n,).
    source
        The file that they come from, for the error.

    Raises
    ------
    BloxFormatError
        A number is another; the error names source, row and column.

    Examples
    --------
    >>> check_costs(np.array([0]), {"flops": np.array([278475876])})
    """
    computed = all_costs()[ids]
    for name, values in costs.items():
        due = computed[:, Cost._fields.index(name)]
        for row in np.flatnonzero(values != due)[:1].tolist():
            problem = (
                f"it is {values[row]}, but architecture {ids[row]} has {due[row]}, as its operations say"
            )
            raise BloxFormatError(problem, source=source, row=row, column=name)
