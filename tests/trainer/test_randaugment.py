"""Each operation against torchvision's own, and against what the release's made of golden images."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from bloxdb.trainer import randaugment as ours
from bloxdb.trainer.recipe import SHEARS
from bloxdb.trainer.vision import torchvision
from PIL import Image
from scipy.stats import chisquare
from torch import Tensor

from tests.conftest import GOLDEN

torchvision()
from torchvision.transforms import RandAugment  # noqa: E402
from torchvision.transforms import functional as theirs  # noqa: E402

SIDE = 32
SQUARE = (SIDE, SIDE)
SIZES = ((8, 64), (64, 8), (24, 17))  # not square; an odd one alone, so that no pixel lies between two
STRENGTHS = (0, 1, 7, 14, 22, 30)


def pictures(count: int = 24, size: tuple[int, int] = SQUARE) -> Tensor:
    """Images of all kinds: noise, smooth ones, dark and bright ones, ones of a single level."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(256, (count, 3, *size), generator=generator, dtype=torch.uint8)
    y, x = (torch.linspace(0, 255, side) for side in size)
    noise[1] = (x[None, None, :] + y[None, :, None]).div(2).to(torch.uint8)
    noise[2] = noise[2] // 4
    noise[3] = 255 - noise[3] // 8
    noise[4] = 77
    noise[5, 1] = 200
    noise[6] = torch.where(noise[6] > 128, 255, 0).to(torch.uint8)
    return noise


EXPECTED: dict[str, Callable[[Tensor, float], Tensor]] = {
    "Identity": lambda image, _: image,
    "ShearX": lambda image, m: sheared(image, [math.degrees(math.atan(m)), 0.0]),
    "ShearY": lambda image, m: sheared(image, [0.0, math.degrees(math.atan(m))]),
    "TranslateX": lambda image, m: theirs.affine(image, 0.0, [int(m), 0], 1.0, [0.0, 0.0]),
    "TranslateY": lambda image, m: theirs.affine(image, 0.0, [0, int(m)], 1.0, [0.0, 0.0]),
    "Rotate": theirs.rotate,
    "Brightness": lambda image, m: theirs.adjust_brightness(image, 1 + m),
    "Color": lambda image, m: theirs.adjust_saturation(image, 1 + m),
    "Contrast": lambda image, m: theirs.adjust_contrast(image, 1 + m),
    "Sharpness": lambda image, m: theirs.adjust_sharpness(image, 1 + m),
    "Posterize": lambda image, m: theirs.posterize(image, int(m)),
    "Solarize": theirs.solarize,
    "AutoContrast": lambda image, _: theirs.autocontrast(image),
    "Equalize": lambda image, _: theirs.equalize(image),
}


def sheared(image: Tensor, degrees: list[float]) -> Tensor:
    return theirs.affine(image, 0.0, [0, 0], 1.0, degrees, center=[0, 0])


@pytest.mark.parametrize("name", list(ours.AUGMENTATIONS))
@pytest.mark.parametrize("strength", STRENGTHS)
def test_each_operation_is_torchvisions_within_a_grey_level(name: str, strength: int) -> None:
    images = pictures()
    value, signed = ours.magnitude(name, strength, SQUARE)
    signs = torch.tensor([1.0, -1.0]).repeat(len(images) // 2) if signed else torch.ones(len(images))
    found = ours.AUGMENTATIONS[name](images, value * signs)
    assert found.dtype == torch.uint8
    for image, got, sign in zip(images, found, signs.tolist(), strict=True):
        expected = EXPECTED[name](image, value * sign)
        assert (got.int() - expected.int()).abs().max() <= 1, name


def drawn(name: str, count: int) -> ours.Choices:
    """One operation for all images, with both signs in turn."""
    ops = torch.full((count,), list(ours.AUGMENTATIONS).index(name))
    return ours.Choices(ops, torch.tensor([1.0, -1.0]).repeat(count // 2))


@pytest.mark.parametrize("name", list(ours.AUGMENTATIONS))
@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_images_that_are_not_square_are_changed_as_torchvision_changes_them(
    name: str, strength: int, size: tuple[int, int]
) -> None:
    images = pictures(size=size)
    chosen = drawn(name, len(images))
    found = ours.apply(images, chosen, strength)
    values, signed = RandAugment()._augmentation_space(31, size)[name]
    value = float(values[strength]) if values.ndim else float(values)
    for image, got, sign in zip(images, found, chosen.signs.tolist(), strict=True):
        expected = EXPECTED[name](image, value * sign if signed else value)
        assert (got.int() - expected.int()).abs().max() <= 1, name


with np.load(GOLDEN / "randaugment.npz") as _golden:
    MADE = dict(_golden.items())


@pytest.mark.parametrize("key", [name for name in MADE if name != "images"])
def test_each_operation_of_the_release_is_the_golden_one(key: str) -> None:
    images, expected = (torch.from_numpy(MADE[name]).permute(0, 3, 1, 2) for name in ("images", key))
    name, sign = key.rstrip("-"), -1 if key.endswith("-") else 1
    value, signed = ours.magnitude(name, 14, SQUARE, "centre")
    assert signed or sign == 1
    found = ours.EDITIONS["centre"][name](images, torch.full((len(images),), value * sign))
    moved = name in ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Solarize")
    assert (found.int() - expected.int()).abs().max() <= (0 if moved else 1)


def test_all_operations_are_among_the_golden_ones_with_both_signs() -> None:
    signed = {name for name in ours.AUGMENTATIONS if ours.magnitude(name, 14, SQUARE)[1]}
    assert set(MADE) == {"images", *ours.AUGMENTATIONS, *(f"{name}-" for name in signed)}


def test_magnitudes_of_the_release_are_the_golden_ones() -> None:
    golden = json.loads((GOLDEN / "recipe.json").read_text())["randaugment_magnitudes_bin_14"]
    assert list(golden) == list(ours.EDITIONS["centre"])
    found = {name: ours.magnitude(name, 14, SQUARE, "centre")[0] for name in golden}
    assert found == pytest.approx(golden, rel=1e-6)


PILLOWS: dict[str, Callable[[Image.Image, float], Image.Image]] = {
    "ShearX": lambda image, m: theirs.affine(image, 0.0, [0, 0], 1.0, [math.degrees(m), 0.0]),
    "ShearY": lambda image, m: theirs.affine(image, 0.0, [0, 0], 1.0, [0.0, math.degrees(m)]),
    "Rotate": theirs.rotate,
    "Solarize": theirs.solarize,
}


@pytest.mark.parametrize("name", list(PILLOWS))
@pytest.mark.parametrize("strength", [*range(31)])
@pytest.mark.parametrize("side", [SIDE, 31])
def test_what_the_release_did_otherwise_is_pillows_at_every_strength(
    name: str, strength: int, side: int
) -> None:
    images = pictures(8)[..., :side, :side]
    value, signed = ours.magnitude(name, strength, (side, side), "centre")
    signs = torch.tensor([1.0, -1.0]).repeat(4) if signed else torch.ones(8)
    found = ours.EDITIONS["centre"][name](images, value * signs).permute(0, 2, 3, 1)
    for image, got, sign in zip(images.permute(0, 2, 3, 1), found, signs.tolist(), strict=True):
        expected = PILLOWS[name](Image.fromarray(image.contiguous().numpy()), value * sign)
        assert np.array_equal(got.numpy(), np.asarray(expected))


@pytest.mark.parametrize("name", list(PILLOWS))
@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_images_that_are_not_square_are_changed_as_the_release_would(
    name: str, strength: int, size: tuple[int, int]
) -> None:
    images = pictures(8, size)
    chosen = drawn(name, len(images))
    found = ours.apply(images, chosen, strength, "centre")
    value, signed = ours.magnitude(name, strength, size, "centre")
    for image, got, sign in zip(images, found, chosen.signs.tolist(), strict=True):
        picture = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
        expected = np.asarray(PILLOWS[name](picture, value * sign if signed else value))
        assert np.array_equal(got.permute(1, 2, 0).numpy(), expected)


def test_only_the_operations_that_the_release_did_otherwise_are_others() -> None:
    assert tuple(ours.EDITIONS) == SHEARS
    images = pictures()
    same = [ours.randaugment(images, 2, 14, torch.Generator().manual_seed(3), edition) for edition in SHEARS]
    changed = ~(same[0] == same[1]).all(dim=(1, 2, 3))
    assert 0 < changed.sum() < len(images)
    for name in ours.AUGMENTATIONS:
        is_same = ours.EDITIONS["centre"][name] is ours.AUGMENTATIONS[name]
        assert is_same == (name not in ("ShearX", "ShearY", "Rotate"))


@pytest.mark.parametrize("size", [SQUARE, *SIZES], ids=str)
@pytest.mark.parametrize("strength", [*range(31)])
def test_magnitudes_are_torchvisions(strength: int, size: tuple[int, int]) -> None:
    space = RandAugment()._augmentation_space(31, size)
    assert list(space) == list(ours.AUGMENTATIONS)
    for name, (values, signed) in space.items():
        value, ours_signed = ours.magnitude(name, strength, size)
        expected = float(values[strength]) if values.ndim else float(values)
        assert ours_signed == signed
        assert value == pytest.approx(expected, abs=1e-4), name


def test_operations_and_signs_are_drawn_uniformly() -> None:
    # each operation leaves another picture of a pale one, so that the picture tells which it was
    n = 28_000
    generator = torch.Generator().manual_seed(1)
    image = pictures()[:1] // 2 + 40
    named = {}
    for name, op in ours.AUGMENTATIONS.items():
        value, signed = ours.magnitude(name, 14, SQUARE)
        for sign in (1, -1) if signed else (1,):
            named[op(image, torch.tensor([float(value * sign)])).numpy().tobytes()] = (name, sign)
    assert len(named) == 14 + 9
    out = ours.randaugment(image.expand(n, -1, -1, -1), 1, 14, generator)
    seen: dict[tuple[str, int], int] = {}
    for picture in out:
        key = named[picture.numpy().tobytes()]
        seen[key] = seen.get(key, 0) + 1
    by_name = [
        sum(count for (name, _), count in seen.items() if name == wanted) for wanted in ours.AUGMENTATIONS
    ]
    assert chisquare(by_name).pvalue > 1e-3
    signed = [name for name in ours.AUGMENTATIONS if ours.magnitude(name, 14, SQUARE)[1]]
    signs = [sum(seen[name, sign] for name in signed) for sign in (1, -1)]
    assert chisquare(signs).pvalue > 1e-3


def test_two_operations_are_drawn_independently() -> None:
    """Twice Identity leaves an image alone, one in 14 * 14."""
    n = 19_600
    image = pictures()[:1] // 2 + 40
    out = ours.randaugment(image.expand(n, -1, -1, -1), 2, 14, torch.Generator().manual_seed(2))
    assert out.shape == (n, 3, SIDE, SIDE)
    same = int((out == image).all(dim=(1, 2, 3)).sum())
    expected = n / 14**2
    assert abs(same - expected) < 4 * math.sqrt(expected)


def test_the_same_generator_gives_the_same_images_and_leaves_the_input_alone() -> None:
    images = pictures()
    before = images.clone()
    first = ours.randaugment(images, 2, 14, torch.Generator().manual_seed(3))
    second = ours.randaugment(images, 2, 14, torch.Generator().manual_seed(3))
    other = ours.randaugment(images, 2, 14, torch.Generator().manual_seed(4))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(images, before)
