"""From stored images to batches that a network takes: at random for training, plainly for evaluation.

Each image draws for itself. All draws come from one generator on the CPU, so that they are the same on every
device, and no step waits for a GPU to know them. In which order they are drawn is part of what a seed means;
how many images are changed together is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from .devices import kind_named, sent
from .images import DataSet, Split
from .randaugment import Choices, apply, choices
from .recipe import TrainingRecipe

_DRAWN = 2048  # images that draw one thing after the other; with another number a seed gives other draws


def training_batches(
    data: DataSet, recipe: TrainingRecipe, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch of the training images in a drawn order, as batches of float32 images and labels."""
    split, device = data.train, data.train.images.device
    drawn = max(recipe.batch, _DRAWN // recipe.batch * recipe.batch)
    many = max(1, kind_named(device).at_once // drawn) * drawn
    for rows in torch.randperm(len(split), generator=generator).split(many):
        there = sent(rows, device)
        images, labels = split.images[there], split.labels[there]
        if recipe.augment:
            draws = together([draw(len(part), recipe, split.images, generator) for part in rows.split(drawn)])
            images = change(images, draws, data, recipe)
        else:
            images = normalise(images, data)
        yield from zip(images.split(recipe.batch), labels.split(recipe.batch), strict=True)


def plain_batches(data: DataSet, split: Split, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The images of a split as they are, and labels."""
    for images, labels in zip(split.images.split(size), split.labels.split(size), strict=True):
        yield normalise(images, data), labels


@dataclass(frozen=True)
class Draws:
    """What some images have drawn, on the CPU.

    Attributes
    ----------
    choices
        For each operation of RandAugment, which one it is and its sign.
    flips
        Whether an image is mirrored, bool (n,).
    corners
        Where its window begins in the padded image, int64 (2, n).
    middles
        Where the middle of its square of zeros is, int64 (2, n).
    """

    choices: list[Choices]
    flips: Tensor
    corners: Tensor
    middles: Tensor


def draw(count: int, recipe: TrainingRecipe, images: Tensor, generator: torch.Generator) -> Draws:
    """Draw for so many images of the size of `images`."""
    return Draws(
        choices(count, recipe.randaugment_ops, generator),
        _flips(count, recipe.flip, generator),
        _corners(count, recipe.crop_padding, generator),
        torch.cat(
            [
                _middles(min(recipe.batch, count - first), images, generator)
                for first in range(0, count, recipe.batch)
            ],
            dim=1,
        ),
    )


def together(draws: list[Draws]) -> Draws:
    """The draws of images that follow each other, as one."""
    rounds = zip(*(each.choices for each in draws), strict=True)
    return Draws(
        [Choices(torch.cat([c.ops for c in one]), torch.cat([c.signs for c in one])) for one in rounds],
        torch.cat([each.flips for each in draws]),
        torch.cat([each.corners for each in draws], dim=1),
        torch.cat([each.middles for each in draws], dim=1),
    )


def change(images: Tensor, draws: Draws, data: DataSet, recipe: TrainingRecipe) -> Tensor:
    """uint8 images to what a network trains on, as they have drawn."""
    for chosen in draws.choices:
        images = apply(images, chosen, recipe.randaugment_magnitude, recipe.shear)
    images = _flipped(images, draws.flips)
    images = _cropped(images, recipe.crop_padding, draws.corners)
    return _cut_out(normalise(images, data), recipe.cutout, draws.middles)


def flip(images: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Mirror images (N, 3, H, W) left to right."""
    return _flipped(images, _flips(len(images), probability, generator))


def crop(images: Tensor, padding: int, generator: torch.Generator) -> Tensor:
    """Cut the size of images (N, 3, H, W) out of them with zeros around."""
    return _cropped(images, padding, _corners(len(images), padding, generator))


def cutout(images: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Set a square of images (N, 3, H, W) to zero, its middle anywhere, what is over the border cut off."""
    return _cut_out(images, side, _middles(len(images), images, generator))


def normalise(images: Tensor, data: DataSet) -> Tensor:
    """uint8 images (N, 3, H, W) to float32, channels last, with mean 0 and deviation 1 of each channel."""
    scale, shift = _scale_and_shift(data.mean, data.std, images.device)
    return images.float().mul_(scale).add_(shift).contiguous(memory_format=torch.channels_last)


@cache
def _scale_and_shift(
    means: tuple[float, ...], stds: tuple[float, ...], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Made once a device: to bring a number to a GPU is to wait for it."""
    mean, std = (
        torch.tensor(values, dtype=torch.float32, device=device)[:, None, None] for values in (means, stds)
    )
    return 1 / (255 * std), -mean / std


def _flips(count: int, probability: float, generator: torch.Generator) -> Tensor:
    return torch.rand(count, generator=generator) < probability


def _flipped(images: Tensor, chosen: Tensor) -> Tensor:
    return torch.where(sent(chosen, images.device)[:, None, None, None], images.flip(3), images)


def _corners(count: int, padding: int, generator: torch.Generator) -> Tensor:
    return torch.randint(2 * padding + 1, (2, count), generator=generator)


def _cropped(images: Tensor, padding: int, corners: Tensor) -> Tensor:
    n, _, height, width = images.shape
    top, left = sent(corners, images.device)
    padded = functional.pad(images, (padding,) * 4)
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)
    return windows[torch.arange(n, device=images.device), :, top, left]


def _middles(count: int, images: Tensor, generator: torch.Generator) -> Tensor:
    return torch.stack([torch.randint(size, (count,), generator=generator) for size in images.shape[2:]])


def _cut_out(images: Tensor, side: int, middles: Tensor) -> Tensor:
    height, width = images.shape[2:]
    top, left = (sent(middles, images.device) - side // 2)[:, :, None]
    rows = torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device)
    within = ((rows >= top) & (rows < top + side))[:, None, :, None]
    beside = ((columns >= left) & (columns < left + side))[:, None, None, :]
    return images.masked_fill_(within & beside, 0)
