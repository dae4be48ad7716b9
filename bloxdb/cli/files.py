"""`import`, `export`, `verify`: release files."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from bloxdb import codecs
from bloxdb.cli.common import PATH, db_option, in_the_one_there, progress_bar
from bloxdb.cli.terminal import note, print_notes, say
from bloxdb.counts import counted
from bloxdb.db import open, open_or_create
from bloxdb.errors import QueryError
from bloxdb.files import ExportReport
from bloxdb.merging import MergeReport
from bloxdb.release import ImportReport, LoadedFile, export_release, import_release, left_out, verify_release


@click.command("import")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@db_option
@click.option("--recipe", help="The name of the runs' recipe; DATASET-EPOCHS if not given.")
@click.option("--seed", type=int, help="The seed of combined training results, which do not say it.")
@click.option("--replace", is_flag=True, help="Override values that the files contradict.")
@click.option("--round", "rounds", is_flag=True, help="Round what has more decimals than the database keeps.")
def import_(
    paths: tuple[str, ...], db: str | None, recipe: str | None, seed: int | None, replace: bool, rounds: bool
) -> None:
    """Bring release files, training results, or folders of them into a database, all of them or none.

    The database is created if there is none. Importing twice changes nothing. A folder of Parquet files that
    `export` wrote is imported by itself.
    """
    is_parquet = _has_parquet(paths)

    def run() -> tuple[ImportReport | MergeReport, str]:
        with (
            open_or_create(db) as (opened, is_new),
            progress_bar("importing", of_bytes=not is_parquet) as progress,
        ):
            created = opened.name if is_new else ""
            if is_parquet:
                from bloxdb.parquet import import_parquet

                return import_parquet(paths[0], opened, replace=replace, progress=progress), created
            found = import_release(
                paths, opened, replace=replace, recipe=recipe, seed=seed, round=rounds, progress=progress
            )
            return found, created

    report, created = in_the_one_there(run, db, "importing into")
    if created:
        note(f"created {created}")
    print_notes(report.notes)
    say(str(report))


def _has_parquet(paths: tuple[str, ...]) -> bool:
    from bloxdb.parquet import is_parquet

    found = [path for path in paths if is_parquet(path)]
    if found and len(paths) > 1:
        raise QueryError(f"{found[0]} holds Parquet files; import it by itself")
    return bool(found)


@click.command()
@db_option
@click.option(
    "--format",
    "format_name",
    type=click.Choice([*codecs.FORMATS, "parquet"]),
    default=next(iter(codecs.FORMATS)),
    show_default=True,
    help="One of the release formats, or Parquet files, one a table of the database.",
)
@click.option("--out", default="release", show_default=True, help="The folder to write to.")
@click.option("--recipe", help="Whose runs; needed where there are several recipes.")
@click.option("--seed", "seeds", type=int, multiple=True, help="Only this seed; may be repeated.")
@click.option("--strict", is_flag=True, help="Refuse what the original package cannot read.")
def export(
    db: str | None,
    format_name: str,
    out: str,
    recipe: str | None,
    seeds: tuple[int, ...],
    strict: bool,
) -> None:
    """Write release files for what the database holds, whole or not at all."""
    if format_name == "parquet":
        from bloxdb.parquet import export_parquet

        with open(db, read_only=True) as opened, progress_bar("exporting") as progress:
            report = export_parquet(out, opened, recipe=recipe, seeds=seeds or None, progress=progress)
        _print_export(report)
        return
    with open(db, read_only=True) as opened, progress_bar("exporting") as progress:
        report = export_release(
            out,
            opened,
            format=format_name,
            recipe=recipe,
            seeds=seeds or None,
            strict=strict,
            progress=progress,
        )
    _print_export(report)


def _print_export(report: ExportReport) -> None:
    print_notes(report.notes)
    for path in report.files:
        say(path)
    note(str(report))


@click.command()
@click.argument("folder", type=PATH, metavar="DIR")
def verify(folder: Path) -> None:
    """Load every release file of a folder, and compare the formats with each other.

    The exit code is 1 if a file does not load or two formats differ.
    """

    def show(file: LoadedFile) -> None:
        outcome = str(file.counts) if file.problem is None else f"damaged: {file.problem}"
        say(f"{file.path.name}\t{file.seconds:.3f} s\t{outcome}")

    loaded, checks = verify_release(folder, on_file=show)
    print_notes(left_out([folder], results=False))
    for check in checks:
        if check.differences:
            say(f".{check.format}: not equal")
            for difference in check.differences:
                say(f"  {difference}")
        elif check.compared:
            equal = counted(check.compared, "file equals that", "files equal those")
            say(f".{check.format}: all {equal} of the other formats")
        else:
            say(f".{check.format}: there is no other format to compare with")
    if any(file.problem for file in loaded) or not all(check.equal for check in checks):
        sys.exit(1)
