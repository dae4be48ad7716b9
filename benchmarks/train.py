"""Measure the trainer against a plain loop, on the CPU or a GPU, in one run.

    python benchmarks/train.py [--device cpu|cuda] [--images N] [--repeats N] [--per-gpu 2] [--write]

The images are random, 32x32, and as many as the device does in a while; what is compared is images a second.
The reference is what one writes first: torchvision's PIL transforms in a DataLoader with worker processes,
float32, the default memory layout, and `.item()` at each step. On a GPU, steps are graphs, which are
compared with ours that are not, too. `--write` puts the tables into benchmarks/RESULTS.md.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import click
import numpy as np
import torch
from bloxdb.trainer.augment import training_batches
from bloxdb.trainer.data import DataSet, Split
from bloxdb.trainer.graphs import recorder_for
from bloxdb.trainer.loop import Training
from bloxdb.trainer.recipe import PRECISIONS, TrainingRecipe, default_recipe
from bloxdb.trainer.switches import configure
from harness import markdown, processor, today, write_between
from plain_loop import PlainLoop, Reference
from speed_ups import ratios
from torch import Tensor

from bloxdb import space
from bloxdb.space import costs

COLUMNS = ["what", "ours, images/s", "reference, images/s", "ratio", "bound", "met"]
SECONDS_A_DAY = 86_400
IMAGES_A_RUN = 200 * 45_000  # training images; validation is one pass forward over a ninth of them


@dataclass(frozen=True)
class Line:
    """Images a second of ours and of the reference; `bound` says how many times as fast we are to be."""

    what: str
    ours: float
    reference: float
    bound: float | None

    def __str__(self) -> str:
        ratio = self.ours / self.reference
        told = " | "
        if self.bound is not None:
            told = f"{self.bound} | {'yes' if ratio >= self.bound else '**no**'}"
        return f"| {self.what} | {self.ours:,.0f} | {self.reference:,.0f} | {ratio:.2f} | {told} |"


def random_data(images: int, device: str) -> DataSet:
    """Random images and labels, in the shape of CIFAR-100."""
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (images + images // 9, 3, 32, 32), generator=draw, dtype=torch.uint8)
    labels = torch.randint(100, (len(pixels),), generator=draw)
    train, val = Split(pixels[:images], labels[:images]), Split(pixels[images:], labels[images:])
    mean, std = (0.5070588, 0.4866667, 0.4407843), (0.2674510, 0.2564706, 0.2760784)
    return DataSet("cifar100", 100, mean, std, train, val, val).to(torch.device(device))


def timed(action: Callable[[], object], device: str, repeats: int) -> float:
    """The median of some, after one that does not count."""
    times = []
    for _ in range(repeats + 1):
        settle(device)
        start = time.perf_counter()
        action()
        settle(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def settle(device: str) -> None:
    """Wait for a GPU."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def exhaust(batches: Iterable[Any]) -> None:
    """Take all."""
    for _ in batches:
        pass


def three_archs() -> dict[str, int]:
    """The cheapest, the median and the costliest architecture, by FLOPs."""
    order = np.argsort(costs.all_costs()[:, 0], kind="stable")
    return {"cheapest": int(order[0]), "median": int(order[len(order) // 2]), "costliest": int(order[-1])}


def augmentation(repeats: int) -> Line:
    """One core of the CPU."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    data, recipe = random_data(4096, "cpu"), default_recipe("cifar100")
    generator = torch.Generator().manual_seed(0)
    ours = timed(lambda: exhaust(training_batches(data, recipe, generator)), "cpu", repeats)
    reference = Reference(data, augment=True)
    count = 1024
    theirs = timed(lambda: exhaust(reference[i] for i in range(count)), "cpu", repeats)
    torch.set_num_threads(threads)
    return Line("augmentation, one CPU core", 4096 / ours, count / theirs, 5.0)


def measure_arch(
    name: str, arch_id: int, recipe: TrainingRecipe, data: DataSet, plain: tuple[float, float], repeats: int
) -> tuple[list[Line], float]:
    """A step, and an epoch with its validation; lines, and images a second of the epoch."""
    on_gpu = data.train.images.is_cuda
    bound = 1.5 if not on_gpu else 5.0 if recipe.precision == "bf16" else 2.0
    title = f"{name} ({costs.all_costs()[arch_id, 0] / 1e6:.0f} MFLOPs), {recipe.precision}"
    ours = our_speeds(arch_id, recipe, data, repeats, graphs=on_gpu)
    lines = [
        Line(f"step, {title}", ours[0], plain[0], bound if on_gpu else None),
        Line(f"epoch, {title}", ours[1], plain[1], bound),
    ]
    if on_gpu:
        launches = our_speeds(arch_id, recipe, data, repeats, graphs=False)
        lines += [
            Line(f"{what}, {title}: graphs, by launches", fast, slow, None)
            for what, fast, slow in zip(("step", "epoch"), ours, launches, strict=True)
        ]
    return lines, ours[1]


def speed_ups(arch_id: int, recipe: TrainingRecipe, data: DataSet, repeats: int) -> list[Line]:
    """Each speed-up by itself, over a few steps of one architecture; the reference is ours without it."""
    images, labels = (part.to(data.train.images.device) for part in some_batch(recipe))
    batches = [(images.contiguous(memory_format=torch.channels_last), labels)] * 2
    seen, device = len(batches) * len(labels), images.device.type
    found = ratios(arch_id, recipe, data, batches, repeats, lambda: settle(device))
    return [
        Line(f"{what}, by ours without", seen / ours, seen / without, None) for what, ours, without in found
    ]


def some_batch(recipe: TrainingRecipe) -> tuple[Tensor, Tensor]:
    """A batch, to time steps with."""
    draw = torch.Generator().manual_seed(0)
    images = torch.randn(recipe.batch, 3, 32, 32, generator=draw)
    return images, torch.randint(100, (recipe.batch,), generator=draw)


def plain_speeds(
    arch_id: int, recipe: TrainingRecipe, data: DataSet, device: str, repeats: int
) -> tuple[float, float]:
    """Images a second of the reference, of a step and of an epoch."""
    plain = PlainLoop(space.arch_vec(arch_id), recipe, data, device)
    batch, labels = some_batch(recipe)
    step = timed(lambda: plain.step(batch, labels), device, repeats)
    return len(batch) / step, len(data.train) / timed(plain.epoch, device, repeats)


def our_speeds(
    arch_id: int, recipe: TrainingRecipe, data: DataSet, repeats: int, *, graphs: bool
) -> tuple[float, float]:
    """The same of ours."""
    device = data.train.images.device
    training = Training(
        space.arch_vec(arch_id), recipe, data, 0, recorder=recorder_for(device, recipe, graphs)
    )
    images, labels = (part.to(device) for part in some_batch(recipe))
    steps = 20 if device.type == "cuda" else 1
    batches = [(images.contiguous(memory_format=torch.channels_last), labels)] * steps
    of_steps = timed(lambda: training.train_on(batches), device.type, repeats)
    of_epoch = timed(training.train_epoch, device.type, repeats)
    return steps * len(labels) / of_steps, len(data.train) / of_epoch


def together(arch_id: int, recipe: TrainingRecipe, images: int, device: str, processes: int) -> float:
    """Images a second of several processes at once, in sum."""
    context = multiprocessing.get_context("spawn")
    barrier, queue = context.Barrier(processes), context.SimpleQueue()
    threads = max(1, (os.cpu_count() or 1) // processes)
    arguments = (arch_id, recipe, images, device, threads, barrier, queue)
    workers = [context.Process(target=one_of_several, args=arguments) for _ in range(processes)]
    for worker in workers:
        worker.start()
    speeds = [queue.get() for _ in workers]
    for worker in workers:
        worker.join()
    return sum(speeds)


def one_of_several(
    arch_id: int, recipe: TrainingRecipe, images: int, device: str, threads: int, barrier: Any, queue: Any
) -> None:
    """A process of `together`."""
    torch.set_num_threads(threads)
    recorder = recorder_for(torch.device(device), recipe, device.startswith("cuda"))
    training = Training(space.arch_vec(arch_id), recipe, random_data(images, device), 0, recorder=recorder)
    training.train_epoch()
    barrier.wait()
    queue.put(images / timed(training.train_epoch, device, 1))


def peak_flops(device: str, recipe: TrainingRecipe) -> float:
    """Multiply-accumulates a second of a large product of matrices: what the hardware can do at the most."""
    size = 8192 if device != "cpu" else 2048
    dtype = torch.bfloat16 if recipe.precision == "bf16" else torch.float32
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    with configure(recipe):
        return size**3 / timed(lambda: a @ b, device, 5)


def days_of_all(epoch_lines: list[tuple[int, float]]) -> float:
    """Days for all architectures, 200 epochs, of seconds an image that grow linearly with FLOPs."""
    flops = np.array([costs.all_costs()[arch_id, 0] for arch_id, _ in epoch_lines], dtype=np.float64)
    seconds = np.array([1 / speed for _, speed in epoch_lines])
    slope, start = np.polyfit(flops, seconds, 1)
    return float(np.sum(costs.all_costs()[:, 0] * slope + start) * IMAGES_A_RUN / SECONDS_A_DAY)


def device_name(device: str) -> str:
    """What it runs on."""
    return torch.cuda.get_device_name() if device.startswith("cuda") else processor()


@click.command()
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--images", type=click.IntRange(9), help="Training images of an epoch; 512, on a GPU 11,250.")
@click.option("--batch", type=click.IntRange(2), default=256, show_default=True)
@click.option("--repeats", type=click.IntRange(1), help="How often each is timed; 3, on a GPU 1.")
@click.option(
    "--precision",
    "precisions",
    type=click.Choice(PRECISIONS),
    multiple=True,
    help="May be repeated; fp32, on a GPU all.",
)
@click.option("--per-gpu", type=click.IntRange(1), default=2, show_default=True, help="Processes at once.")
@click.option("--write", "write_results", is_flag=True, help="Put the tables into RESULTS.md.")
def main(
    device: str,
    images: int | None,
    batch: int,
    repeats: int | None,
    precisions: tuple[str, ...],
    per_gpu: int,
    write_results: bool,
) -> None:
    """Measure augmentation, steps and epochs; on an H200 in about two minutes."""
    on_gpu = device != "cpu"
    count, repeats = images or (11_250 if on_gpu else 512), repeats or (1 if on_gpu else 3)
    precisions = precisions or (PRECISIONS if on_gpu else PRECISIONS[:1])
    recipe = replace(default_recipe("cifar100"), batch=batch)
    data = random_data(count, device)
    lines = [augmentation(repeats), *speed_ups(three_archs()["median"], recipe, data, repeats)]
    click.echo("\n".join(map(str, lines)))
    notes = []
    plain = {
        arch_id: plain_speeds(arch_id, recipe, data, device, repeats) for arch_id in three_archs().values()
    }
    for precision in precisions:
        epochs = []
        own = replace(recipe, precision=precision)
        peak = peak_flops(device, own)
        for name, arch_id in three_archs().items():
            found, speed = measure_arch(name, arch_id, own, data, plain[arch_id], repeats)
            lines += found
            click.echo("\n".join(map(str, found)))
            epochs.append((arch_id, speed))
            done = 3 * costs.all_costs()[arch_id, 0] * found[0].ours  # backwards is twice forwards
            notes.append(
                f"{name}, {precision}: a step runs at {done / peak:.0%} of what a large matrix product does"
            )
        days = days_of_all(epochs)
        notes.append(f"all 91,125 architectures for 200 epochs, {precision}: {days:,.0f} days of this device")
    arch_id = three_archs()["cheapest"]
    alone, several = (together(arch_id, recipe, count, device, n) for n in (1, per_gpu))
    notes.append(
        f"cheapest, fp32: {alone:,.0f} images/s in one process, {several:,.0f} in {per_gpu} together"
    )
    shown = "\n".join(
        [
            f"{device_name(device)}; {today()}; torch {torch.__version__}; epochs of "
            f"{count} images, batch {batch}; median of {repeats}.",
            "",
            markdown(COLUMNS, map(str, lines)),
            "",
            *(f"- {note}" for note in notes),
            "",
        ]
    )
    click.echo(shown)
    if write_results:
        write_between(f"<!-- train {device} -->", f"<!-- end of train {device} -->", shown)


if __name__ == "__main__":
    main()
