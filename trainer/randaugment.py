"""RandAugment on batches: each image draws its own operations; an operation is a few tensor functions.

The fourteen operations, their magnitudes in 31 bins, and what they do to a pixel are those of torchvision's
`RandAugment` with nearest interpolation and black fill (Cubuk et al., RandAugment, 2019), of today's or of
that before 0.12, which the release used; the tests hold each against it. Images are uint8 (N, 3, H, W).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from .devices import sent

BINS = 31
WHITE = 255
_BITS = 16  # of Pillow's coordinates, which are integers, lie below a pixel

Op = Callable[[Tensor, Tensor], Tensor]
"""Images and one signed magnitude an image, float32 (N,), to images."""


def identity(images: Tensor, _: Tensor) -> Tensor:
    """The images themselves."""
    return images


def shear_x(images: Tensor, slope: Tensor) -> Tensor:
    """Move each row sideways, by the slope times its distance from the top."""
    _, y = _pixels(images)
    return _take(images, slope[:, None, None] * (y + images.shape[2] / 2), torch.zeros_like(y))


def shear_y(images: Tensor, slope: Tensor) -> Tensor:
    """Move each column up or down, by the slope times its distance from the left."""
    x, _ = _pixels(images)
    return _take(images, torch.zeros_like(x), slope[:, None, None] * (x + images.shape[3] / 2))


def translate_x(images: Tensor, pixels: Tensor) -> Tensor:
    """Move by whole pixels to the right."""
    return _take(images, -pixels.trunc()[:, None, None], torch.zeros_like(pixels)[:, None, None])


def translate_y(images: Tensor, pixels: Tensor) -> Tensor:
    """Move by whole pixels downwards."""
    return _take(images, torch.zeros_like(pixels)[:, None, None], -pixels.trunc()[:, None, None])


def rotate(images: Tensor, degrees: Tensor) -> Tensor:
    """Turn counter-clockwise around the middle."""
    x, y = _pixels(images)
    angle = torch.deg2rad(degrees)[:, None, None]
    cos, sin = torch.cos(angle), torch.sin(angle)
    return _take(images, cos * x - sin * y - x, sin * x + cos * y - y)


def shear_x_around_centre(images: Tensor, radians: Tensor) -> Tensor:
    """Lean the columns by an angle; the middle row stays."""
    slope = radians.double().tan()
    one, zero = torch.ones_like(slope), torch.zeros_like(slope)
    return _affine(images, (one, slope), (zero, one))


def shear_y_around_centre(images: Tensor, radians: Tensor) -> Tensor:
    """Lean the rows by an angle; the middle column stays."""
    slope = radians.double().tan()
    one, zero = torch.ones_like(slope), torch.zeros_like(slope)
    return _affine(images, (one, zero), (slope, one))


def rotate_in_fixed_point(images: Tensor, degrees: Tensor) -> Tensor:
    """Turn counter-clockwise around the middle, to the very pixels that Pillow takes."""
    angle = torch.deg2rad(degrees.double())
    cos, sin = torch.cos(angle), torch.sin(angle)
    return _affine(images, (cos, -sin), (sin, cos))


def brightness(images: Tensor, change: Tensor) -> Tensor:
    """Blend with black; a change of 0 is no change."""
    return _to_bytes(images * _each(1 + change))


def color(images: Tensor, change: Tensor) -> Tensor:
    """Blend with the grey image."""
    return _blend(images, _grey(images), change)


def contrast(images: Tensor, change: Tensor) -> Tensor:
    """Blend with the mean of the grey image."""
    return _blend(images, _grey(images).float().mean(dim=(1, 2, 3), keepdim=True), change)


def sharpness(images: Tensor, change: Tensor) -> Tensor:
    """Blend with the smoothed image, whose border stays as it is."""
    wide = images.to(torch.int16)
    three = wide[:, :, :-2] + wide[:, :, 1:-1] + wide[:, :, 2:]
    around = three[..., :-2] + three[..., 1:-1] + three[..., 2:]
    smooth = images.float()
    smooth[:, :, 1:-1, 1:-1] = ((around + 4 * wide[:, :, 1:-1, 1:-1]) / 13).round()
    return _blend(images, smooth, change)


def posterize(images: Tensor, bits: Tensor) -> Tensor:
    """Keep the highest bits."""
    step = torch.bitwise_left_shift(torch.ones_like(bits, dtype=torch.uint8), (8 - bits).to(torch.uint8))
    return images & _each(0 - step)


def solarize(images: Tensor, threshold: Tensor) -> Tensor:
    """Invert what is at least as bright as the threshold, which need not be whole."""
    bright = images >= _each(threshold)
    return images ^ (bright.to(torch.uint8) * WHITE)


def autocontrast(images: Tensor, _: Tensor) -> Tensor:
    """Stretch each channel to all grey levels; a channel of one level stays."""
    low = images.amin(dim=(2, 3), keepdim=True).float()
    span = images.amax(dim=(2, 3), keepdim=True).float() - low
    flat = span == 0
    scale = torch.where(flat, torch.ones_like(span), WHITE / span)
    return _to_bytes((images - torch.where(flat, torch.zeros_like(low), low)) * scale)


def equalize(images: Tensor, _: Tensor) -> Tensor:
    """Spread each channel's levels so that all are about as frequent."""
    n, channels, height, width = images.shape
    flat = images.reshape(n * channels, height * width).long()
    levels = WHITE + 1
    own = torch.arange(n * channels, device=images.device)[:, None] * levels
    counts = torch.zeros(n * channels * levels, dtype=torch.int64, device=images.device)
    counts.scatter_add_(0, (flat + own).ravel(), torch.ones_like(flat).ravel())
    counts = counts.reshape(-1, levels)
    up_to = counts.cumsum(1)
    # the step is of all pixels but those of the brightest level that is there
    brightest = flat.amax(dim=1, keepdim=True)
    step = (height * width - counts.gather(1, brightest)) // WHITE
    before = functional.pad(up_to, (1, 0))[:, :-1]
    table = ((before + step // 2) // step.clamp(min=1)).clamp(max=WHITE)
    same = torch.arange(levels, device=images.device)
    table = torch.where(step > 0, table, same).to(torch.uint8)
    return table.gather(1, flat).reshape(images.shape)


AUGMENTATIONS: dict[str, Op] = {
    "Identity": identity,
    "ShearX": shear_x,
    "ShearY": shear_y,
    "TranslateX": translate_x,
    "TranslateY": translate_y,
    "Rotate": rotate,
    "Brightness": brightness,
    "Color": color,
    "Contrast": contrast,
    "Sharpness": sharpness,
    "Posterize": posterize,
    "Solarize": solarize,
    "AutoContrast": autocontrast,
    "Equalize": equalize,
}
"""The operations, by torchvision's names and in its order."""

EDITIONS: dict[str, dict[str, Op]] = {
    "corner": AUGMENTATIONS,
    "centre": AUGMENTATIONS
    | {
        "ShearX": shear_x_around_centre,
        "ShearY": shear_y_around_centre,
        "Rotate": rotate_in_fixed_point,
    },
}
"""The operations of today's torchvision, and those of the release, by what `TrainingRecipe.shear` says."""

_SOLARIZED_FROM = {"corner": WHITE, "centre": WHITE + 1}
"""The threshold of the first bin in each; it falls to 0 in the last."""

_SIGNED = {
    "ShearX": 0.3,
    "ShearY": 0.3,
    "TranslateX": 150 / 331,
    "TranslateY": 150 / 331,
    "Rotate": 30.0,
    "Brightness": 0.9,
    "Color": 0.9,
    "Contrast": 0.9,
    "Sharpness": 0.9,
}
"""Operations that go both ways, and their strength in the last bin; translations as a share of `_SIDES`."""

_SIDES = {"TranslateX": -1, "TranslateY": -2}
"""Operations whose strength is a share of a side of the image, and which of (height, width) it is."""


def magnitude(name: str, strength: int, size: tuple[int, int], edition: str = "corner") -> tuple[float, bool]:
    """What an operation gets at a strength of 0 … 30 on (height, width), and whether its sign is drawn."""
    share = strength / (BINS - 1)
    if name in _SIGNED:
        return share * _SIGNED[name] * (size[_SIDES[name]] if name in _SIDES else 1), True
    if name == "Posterize":
        return 8 - round(strength / ((BINS - 1) / 4)), False
    return (_SOLARIZED_FROM[edition] * (1 - share) if name == "Solarize" else 0.0), False


def randaugment(
    images: Tensor, count: int, strength: int, generator: torch.Generator, edition: str = "corner"
) -> Tensor:
    """Apply `count` operations to each image, each drawn uniformly, with a drawn sign where there is one.

    Parameters
    ----------
    images
        uint8 (N, 3, H, W), on any device; white is 255.
    count, strength
        Operations an image, and their bin, 0 … 30.
    generator
        On the CPU, so that choosing who gets what never waits for a GPU.
    edition
        A key of `EDITIONS`.

    Returns
    -------
    Tensor
        A new one of the same shape.
    """
    for chosen in choices(len(images), count, generator):
        images = apply(images, chosen, strength, edition)
    return images


class Choices(NamedTuple):
    """Which operation each image gets, int64 (N,), and its sign, float32 (N,); on the CPU."""

    ops: Tensor
    signs: Tensor


def choices(images: int, count: int, generator: torch.Generator) -> list[Choices]:
    """Draw for so many images, `count` times."""
    return [
        Choices(
            torch.randint(len(AUGMENTATIONS), (images,), generator=generator),
            1 - 2 * torch.randint(2, (images,), generator=generator).float(),
        )
        for _ in range(count)
    ]


def apply(images: Tensor, chosen: Choices, strength: int, edition: str = "corner") -> Tensor:
    """Change each image as it has drawn: images of one operation together."""
    order = chosen.ops.argsort(stable=True)
    sizes = torch.bincount(chosen.ops, minlength=len(AUGMENTATIONS)).tolist()
    signs = sent(chosen.signs[order], images.device)
    changed = images[sent(order, images.device)]
    parts = zip(EDITIONS[edition].items(), changed.split(sizes), signs.split(sizes), strict=True)
    height, width = images.shape[2:]
    for (name, op), part, sign in parts:
        if len(part):
            value, signed = magnitude(name, strength, (height, width), edition)
            part.copy_(op(part, value * sign if signed else torch.full_like(sign, value)))
    return changed[sent(order.argsort(), images.device)]


def _each(values: Tensor) -> Tensor:
    """One value an image, to be broadcast over it."""
    return values[:, None, None, None]


def _pixels(images: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates of pixels from the middle of the image, shape (1, 1, W) and (1, H, 1)."""
    height, width = images.shape[2:]
    x = torch.arange(width, device=images.device, dtype=torch.float32) - (width - 1) / 2
    y = torch.arange(height, device=images.device, dtype=torch.float32) - (height - 1) / 2
    return x[None, None, :], y[None, :, None]


def _take(images: Tensor, right: Tensor, down: Tensor) -> Tensor:
    """For each pixel the nearest one that lies so far to the right and down; black outside."""
    height, width = images.shape[2:]
    columns = torch.arange(width, device=images.device, dtype=torch.float32)[None, None, :]
    rows = torch.arange(height, device=images.device, dtype=torch.float32)[None, :, None]
    return _pick(images, (columns + right).round(), (rows + down).round())


def _affine(images: Tensor, along_x: tuple[Tensor, Tensor], along_y: tuple[Tensor, Tensor]) -> Tensor:
    """For the pixel (x, y) from the middle the one at (a x + b y, c x + d y), of ``(a, b), (c, d)``.

    In integers, as Pillow does it for small images (`affine_fixed` in its Geometry.c): where two pixels are
    about as near, it is they that decide. The factors are float64 (N,).
    """
    height, width = images.shape[2:]
    rows = torch.arange(height, device=images.device, dtype=torch.int32)[:, None]
    columns = torch.arange(width, device=images.device, dtype=torch.int32)
    places = []
    for (by_x, by_y), middle in ((along_x, width / 2), (along_y, height / 2)):
        first = middle + by_x * (0.5 - width / 2) + by_y * (0.5 - height / 2)
        fixed = ((value * 2**_BITS + 0.5).floor().int() for value in (first, by_x, by_y))
        first, by_x, by_y = (value[:, None, None] for value in fixed)
        places.append((first + by_x * columns + by_y * rows) >> _BITS)
    return _pick(images, *places)


def _pick(images: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """For each pixel the one at whole coordinates, which can be broadcast to (N, H, W); black outside."""
    n, channels, height, width = images.shape
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    place = (y * width + x).clamp(0, height * width - 1).long().expand(n, height, width)
    flat = images.reshape(n, channels, height * width)
    found = flat.gather(2, place.reshape(n, 1, -1).expand(n, channels, -1)).reshape(images.shape)
    return found * inside[:, None]


def _grey(images: Tensor) -> Tensor:
    red, green, blue = images.float().unbind(1)
    return (0.2989 * red + 0.587 * green + 0.114 * blue).trunc().unsqueeze(1)


def _blend(images: Tensor, other: Tensor, change: Tensor) -> Tensor:
    weight = _each(1 + change)
    return _to_bytes(images * weight + other * (1 - weight))


def _to_bytes(values: Tensor) -> Tensor:
    return values.clamp(0, WHITE).to(torch.uint8)
