"""The network of an architecture vector.

`C` is 32, 64, 128 in the three stages. `G(i, o, k)` is a convolution with bias and 'same' padding, BatchNorm
and ReLU. All of it is written so that `torch.jit.script`, `torch.fx` and `torch.export` take it.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from bloxdb.arguments import integer
from bloxdb.space import OPS, STAGES, cells_of
from bloxdb.space.costs import CLASSES, STEM_CHANNELS

from .recipe import checked


class BatchNorm(nn.BatchNorm2d):
    """Counts no batches: nothing reads the count where the momentum is fixed, and it costs a launch each."""

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        return functional.batch_norm(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training,
            self.momentum,  # type: ignore[arg-type]
            self.eps,
        )


def conv_bn_relu(c_in: int, c_out: int, kernel: int, groups: int = 1) -> nn.Sequential:
    """`G`: convolution of odd kernel with 'same' padding, BatchNorm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2, groups=groups),
        BatchNorm(c_out),
        nn.ReLU(inplace=True),  # what it overwrites is the normalised tensor, which no gradient needs
    )


class SqueezeExcite(nn.Module):
    """Scale the channels by what two 1x1 convolutions make of their means."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, channels, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        scale: Tensor = self.gate(x)
        return x * scale


class Residual(nn.Module):
    """Layers in a row, and their input added."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        out: Tensor = self.layers(x)
        return x + out


def conv_op(c: int) -> nn.Sequential:
    """Four 3x3 convolutions in a row."""
    return nn.Sequential(*(conv_bn_relu(c, c, 3) for _ in range(4)))


def mbconv_op(c: int) -> nn.Sequential:
    """Twice: widen, squeeze and excite, narrow."""
    return nn.Sequential(
        *(
            Residual(conv_bn_relu(c, 2 * c, 3), SqueezeExcite(2 * c), conv_bn_relu(2 * c, c, 1))
            for _ in range(2)
        )
    )


def bconv_op(c: int) -> nn.Sequential:
    """Six bottlenecks around a 5x5 depthwise convolution."""
    return nn.Sequential(
        *(
            Residual(conv_bn_relu(c, b, 1), conv_bn_relu(b, b, 5, groups=b), conv_bn_relu(b, c, 1))
            for b in (c // 2, c, 2 * c) * 2
        )
    )


_MAKERS = {"conv": conv_op, "mbconv": mbconv_op, "bconv": bconv_op}


class SearchedCell(nn.Module):
    """One searchable cell: ``out = op2(prev*h1 + input*x) + skip*h1`` with ``h1 = op1(x)``.

    In the networks of the first release ``h1 = op1(x + x)``.
    """

    def __init__(self, cell: tuple[int, int, int, int, int], channels: int, variant: str = "public") -> None:
        super().__init__()
        op1, op2, *wires = cell
        self.prev, self.input, self.skip = (wire == 1 for wire in wires)
        self.doubles = variant == "paper"
        # an operation that nothing reads is not built
        self.op1 = _MAKERS[OPS[op1]](channels) if self.prev or self.skip else None
        self.op2 = _MAKERS[OPS[op2]](channels) if self.prev or self.input else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        h1 = x
        if self.op1 is not None:
            h1 = self.op1(x + x if self.doubles else x)
        if self.op2 is None:
            return h1
        given = x
        if self.prev:
            given = h1 + x if self.input else h1
        out: Tensor = self.op2(given)
        return out + h1 if self.skip else out


class Reduction(nn.Module):
    """From C to 2C channels at half the size: two 3x3 convolutions beside one 2x2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = 2 * channels
        self.long = nn.Sequential(
            nn.Conv2d(channels, wide, 3, stride=2, padding=1),
            BatchNorm(wide),
            nn.ReLU(inplace=True),
            *conv_bn_relu(wide, wide, 3),
        )
        self.short = nn.Sequential(
            nn.Conv2d(channels, wide, 2, stride=2), BatchNorm(wide), nn.ReLU(inplace=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, 2C, H // 2, W // 2); of an odd size `long` is cropped by one."""
        long: Tensor = self.long(x)
        short: Tensor = self.short(x)
        return long[:, :, : short.shape[2], : short.shape[3]] + short


class Network(nn.Module):
    """The whole network: stem, three cells each with its reduction, head.

    Parameters
    ----------
    vec
        Whatever names an architecture: a vector, a model hash or its beginning, an index, a `bloxdb.Arch`; of
        a vector that is not canonical, its own cells are built.
    classes
        Outputs of the head.
    init_order
        In which order initial weights are drawn, as in `TrainingRecipe`.
    variant
        ``'paper'`` for a network of the first release, as in `TrainingRecipe`.

    Raises
    ------
    InvalidArchError
        The vector is malformed or a cell has no path.
    QueryError
        There is no such order or variant, or it would have no outputs.
    """

    def __init__(
        self, vec: object, classes: int = CLASSES, *, init_order: str = "stages", variant: str = "public"
    ) -> None:
        super().__init__()
        variant, init_order = checked("variant", variant), checked("init_order", init_order)
        classes = integer(classes, "the number of classes", low=1)
        self.stem = conv_bn_relu(3, STEM_CHANNELS, 3)
        self.cells, self.reductions = nn.ModuleList(), nn.ModuleList()
        channels = [STEM_CHANNELS << stage for stage in range(STAGES)]
        for cell, c in zip(cells_of(vec), channels, strict=True):
            self.cells.append(SearchedCell(cell, c, variant))
            if init_order == "stages":
                self.reductions.append(Reduction(c))
        if init_order == "cells":
            self.reductions.extend(Reduction(c) for c in channels)
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(STEM_CHANNELS << STAGES, classes)
        )

    def forward(self, images: Tensor) -> Tensor:
        """The logits of images.

        Parameters
        ----------
        images
            float32 (N, 3, H, W).

        Returns
        -------
        Tensor
            Shape (N, classes).
        """
        x = self.stem(images)
        for cell, reduction in zip(self.cells, self.reductions):  # noqa: B905 - a script has no strict
            x = reduction(cell(x))
        logits: Tensor = self.head(x)
        return logits
