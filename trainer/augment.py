"""From stored images to batches that a network takes: at random for training, plainly for evaluation.

Each image draws for itself. All draws come from one generator on the CPU, so that they are the same on every
device, and no step waits for a GPU to know them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from .data import DataSet, Split
from .randaugment import randaugment
from .recipe import TrainingRecipe

_AT_ONCE = 2048  # images that are changed together: enough for each of the operations to have many


def training_batches(
    data: DataSet, recipe: TrainingRecipe, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch of the training images in a drawn order, as batches of float32 images and labels."""
    split = data.train
    many = max(recipe.batch, _AT_ONCE // recipe.batch * recipe.batch)
    for rows in torch.randperm(len(split), generator=generator).split(many):
        rows = rows.to(split.images.device, non_blocking=True)
        images, labels = split.images[rows], split.labels[rows]
        if recipe.augment:
            count, strength = recipe.randaugment_ops, recipe.randaugment_magnitude
            images = randaugment(images, count, strength, generator, recipe.shear)
            images = flip(images, recipe.flip, generator)
            images = crop(images, recipe.crop_padding, generator)
        for part, part_labels in zip(images.split(recipe.batch), labels.split(recipe.batch), strict=True):
            batch = normalise(part, data)
            if recipe.augment:
                batch = cutout(batch, recipe.cutout, generator)
            yield batch, part_labels


def plain_batches(data: DataSet, split: Split, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The images of a split as they are, and labels."""
    for images, labels in zip(split.images.split(size), split.labels.split(size), strict=True):
        yield normalise(images, data), labels


def flip(images: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Mirror images (N, 3, H, W) left to right."""
    chosen = torch.rand(len(images), generator=generator) < probability
    chosen = chosen.to(images.device, non_blocking=True)
    return torch.where(chosen[:, None, None, None], images.flip(3), images)


def crop(images: Tensor, padding: int, generator: torch.Generator) -> Tensor:
    """Cut the size of images (N, 3, H, W) out of them with zeros around."""
    n, _, height, width = images.shape
    places = torch.randint(2 * padding + 1, (2, n), generator=generator)
    top, left = places.to(images.device, non_blocking=True)
    padded = functional.pad(images, (padding,) * 4)
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)
    return windows[torch.arange(n, device=images.device), :, top, left]


def normalise(images: Tensor, data: DataSet) -> Tensor:
    """uint8 images (N, 3, H, W) to float32, channels last, with mean 0 and deviation 1 of each channel."""
    scale, shift = _scale_and_shift(data.mean, data.std, images.device)
    return images.float().mul_(scale).add_(shift).contiguous(memory_format=torch.channels_last)


@cache
def _scale_and_shift(
    means: tuple[float, ...], stds: tuple[float, ...], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Made once a device: to bring a number to a GPU is to wait for it."""
    mean, std = (torch.tensor(values, device=device)[:, None, None] for values in (means, stds))
    return 1 / (255 * std), -mean / std


def cutout(images: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Set a square of images (N, 3, H, W) to zero, its middle anywhere, what is over the border cut off."""
    n, _, height, width = images.shape
    middles = torch.stack([torch.randint(size, (n,), generator=generator) for size in (height, width)]).to(
        images.device, non_blocking=True
    )
    top, left = (middles - side // 2)[:, :, None]
    rows = torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device)
    within = ((rows >= top) & (rows < top + side))[:, None, :, None]
    beside = ((columns >= left) & (columns < left + side))[:, None, None, :]
    return images.masked_fill_(within & beside, 0)
