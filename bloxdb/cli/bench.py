"""`bench`: latencies of architectures on this machine."""

from __future__ import annotations

from typing import Any

import click
from sqlalchemy import select

from bloxdb.cli.archs import ArchCommand, arch_options, chosen_archs, taken
from bloxdb.cli.common import IntRange, db_option, progress_bar
from bloxdb.cli.terminal import note, say
from bloxdb.codecs.header import PLAIN_DEVICE
from bloxdb.db import Device, Latency, open
from bloxdb.device_names import new_device_name
from bloxdb.errors import QueryError
from bloxdb.trainer import part
from bloxdb.trainer.recipe import PRECISIONS


@click.command(cls=ArchCommand)
@db_option
@click.option(
    "--device-name",
    required=True,
    metavar="NAME",
    help="What to call this device; letters, digits, -, _, ., +.",
)
@arch_options
@click.option("--seed", type=IntRange(0), default=0, show_default=True, help="Of --random.")
@click.option(
    "--torch-device",
    metavar="KIND",
    default="cpu",
    show_default=True,
    help="Where to run the network, as torch calls it.",
)
@click.option("--batch", type=IntRange(1), default=1, show_default=True, help="Images at once.")
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default=PRECISIONS[0],
    show_default=True,
    help="How layers compute.",
)
@click.option(
    "--graphs", is_flag=True, help="Replay a GPU's passes, timed by its own clock and not Python's."
)
@click.option("--threads", type=IntRange(1), help="CPU threads; as many as torch takes if not given.")
@click.option("--runs", type=IntRange(2), default=30, show_default=True, help="Forward passes that count.")
@click.option("--warmup", type=IntRange(0), default=5, show_default=True, help="Passes before them.")
def bench(db: str | None, device_name: str, seed: int, threads: int | None, **options: Any) -> None:
    """Measure how long architectures take on this machine, and store the latencies.

    A latency is the median of warm forward passes, and its spread the range of the middle half of them. Each
    is stored as it is measured; --missing goes on after an interruption.
    """
    chosen = taken(options)
    if not PLAIN_DEVICE.fullmatch(device_name):
        raise QueryError(f"a device's name has letters, digits, -, _, . and +, not {device_name!r}")
    new_device_name(device_name)
    latency = part("latency")
    setting = latency.Setting(**options)
    latency.use_threads(threads)
    done = select(Latency.arch_id).join(Device).where(Device.name == device_name)
    with open(db) as opened, progress_bar("measuring") as progress:
        latency.check_device(opened, device_name, setting)
        arch_ids = chosen_archs(opened, chosen, seed, lambda: opened.reader.scalars(done))
        if not arch_ids:
            note("nothing is missing")
            return
        ready = 0

        def on_each(arch_id: int, found: Any) -> None:
            nonlocal ready
            ready += 1
            say(f"{arch_id}\t{found.latency_ms:.3f} ms\t± {found.spread_ms / 2:.3f} ms")
            progress(ready, len(arch_ids), f"architecture {arch_id}")

        latency.measure_all(opened, device_name, arch_ids, setting, on_each)
