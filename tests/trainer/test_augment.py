"""Flip, crop, cutout and normalisation: shapes, borders and frequencies."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from bloxdb.trainer import augment, devices
from bloxdb.trainer.data import DataSet, Split
from bloxdb.trainer.recipe import TrainingRecipe
from scipy.stats import chisquare

SIDE = 8


def numbered(n: int) -> torch.Tensor:
    """The same image n times, whose pixels all differ and none is zero."""
    image = torch.arange(1, 3 * SIDE * SIDE + 1, dtype=torch.uint8).reshape(1, 3, SIDE, SIDE)
    return image.repeat(n, 1, 1, 1)


def data(n: int = 40) -> DataSet:
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(256, (n, 3, SIDE, SIDE), generator=draw, dtype=torch.uint8)
    split = Split(images, torch.arange(n))
    return DataSet("digits", 10, (0.5, 0.4, 0.3), (0.2, 0.25, 0.3), split, split, split)


def test_a_flip_mirrors_about_the_share_it_is_told() -> None:
    images = numbered(4000)
    out = augment.flip(images, 0.3, torch.Generator().manual_seed(0))
    mirrored = (out == images.flip(3)).all(dim=(1, 2, 3))
    assert ((out == images).all(dim=(1, 2, 3)) ^ mirrored).all()
    assert chisquare([mirrored.sum(), (~mirrored).sum()], [1200, 2800]).pvalue > 1e-3


def test_every_crop_is_a_window_of_the_padded_image_and_all_are_as_frequent() -> None:
    padding, n = 2, 5000
    out = augment.crop(numbered(n), padding, torch.Generator().manual_seed(1))
    padded = torch.zeros(3, SIDE + 2 * padding, SIDE + 2 * padding, dtype=torch.uint8)
    padded[:, padding:-padding, padding:-padding] = numbered(1)[0]
    places = range(2 * padding + 1)
    windows = {
        padded[:, y : y + SIDE, x : x + SIDE].numpy().tobytes(): (y, x) for y in places for x in places
    }
    counts = dict.fromkeys(windows.values(), 0)
    for picture in out:
        counts[windows[picture.contiguous().numpy().tobytes()]] += 1
    assert chisquare(list(counts.values())).pvalue > 1e-3


def test_cutout_is_one_square_anywhere_cut_off_at_the_border() -> None:
    side, n = 4, 6400
    out = augment.cutout(torch.ones(n, 3, SIDE, SIDE), side, torch.Generator().manual_seed(2))
    assert torch.equal(out[:, 0], out[:, 2])
    holes = out[:, 0] == 0
    rows, columns = holes.any(dim=2), holes.any(dim=1)
    assert torch.equal(holes, rows[:, :, None] & columns[:, None, :])
    assert set(rows.sum(dim=1).tolist()) == {2, 3, 4}
    # the middle is uniform, so a row in the middle is covered by 4 of 8, the first by 0 - 2 … 0 + 1
    covered = rows.float().mean(dim=0)
    assert abs(covered[4] - 4 / 8) < 0.03
    assert abs(covered[0] - 3 / 8) < 0.03


def test_normalised_images_have_mean_and_deviation_of_the_data_set_taken_off() -> None:
    some = data()
    out = augment.normalise(some.train.images, some)
    expected = some.train.images.double() / 255
    mean = torch.tensor(some.mean, dtype=torch.float64)[:, None, None]
    std = torch.tensor(some.std, dtype=torch.float64)[:, None, None]
    assert torch.allclose(out.double(), (expected - mean) / std, atol=1e-5)
    assert out.is_contiguous(memory_format=torch.channels_last)


def test_an_epoch_has_each_image_once_in_batches() -> None:
    recipe = TrainingRecipe("digits", 1, batch=16, augment=False)
    batches = list(augment.training_batches(data(), recipe, torch.Generator().manual_seed(0)))
    assert [len(labels) for _, labels in batches] == [16, 16, 8]
    assert sorted(torch.cat([labels for _, labels in batches]).tolist()) == list(range(40))
    again = list(augment.training_batches(data(), recipe, torch.Generator().manual_seed(0)))
    assert all(torch.equal(a[0], b[0]) for a, b in zip(batches, again, strict=True))


def test_what_is_evaluated_is_not_changed() -> None:
    some = data()
    images = torch.cat([batch for batch, _ in augment.plain_batches(some, some.val, 7)])
    assert torch.equal(images, augment.normalise(some.val.images, some))


def test_augmented_batches_differ_from_plain_ones_and_from_each_other() -> None:
    recipe = TrainingRecipe("cifar100", 1, batch=40, crop_padding=2, cutout=3)
    generator = torch.Generator().manual_seed(0)
    (first, _), (second, _) = (next(augment.training_batches(data(), recipe, generator)) for _ in range(2))
    assert first.shape == (40, 3, SIDE, SIDE)
    assert first.dtype == torch.float32
    assert not torch.equal(first, second)


@pytest.mark.parametrize("batch", [16, 300, 3000])
def test_how_many_images_are_changed_together_changes_no_number(
    batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = TrainingRecipe("cifar100", 1, batch=batch, crop_padding=2, cutout=3)
    some, found = data(5000), []
    for at_once in (1, 2048, 4500, 100_000):
        monkeypatch.setitem(devices.KINDS, "cpu", replace(devices.KINDS["cpu"], at_once=at_once))
        generator = torch.Generator().manual_seed(7)
        batches = list(augment.training_batches(some, recipe, generator))
        assert all(images.is_contiguous(memory_format=torch.channels_last) for images, _ in batches)
        found.append((batches, generator.get_state()))
    for batches, state in found[1:]:
        assert torch.equal(state, found[0][1])
        assert [len(labels) for _, labels in batches] == [len(labels) for _, labels in found[0][0]]
        for one, other in zip(batches, found[0][0], strict=True):
            assert torch.equal(one[0], other[0])
            assert torch.equal(one[1], other[1])


def test_draws_are_those_of_before_larger_pieces() -> None:
    # 5,000 images of which 2,048 drew at a time: what a seed means is kept
    recipe = TrainingRecipe("cifar100", 1, batch=256, crop_padding=2, cutout=3)
    generator = torch.Generator().manual_seed(1)
    batches = list(augment.training_batches(data(5000), recipe, generator))
    assert [round(float(images.double().sum()), 2) for images, _ in batches[::6]] == [
        -18315.1,
        -16975.59,
        -17636.61,
        -18068.39,
    ]
    assert int(generator.get_state().long().sum()) == 324435
