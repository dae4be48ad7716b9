"""`draw`, `plot`, and the cells that `show` draws, as a user runs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bloxdb import draw
from tests.cli.helpers import bloxdb, on_terminal

BEST = "dab44c12f79899d6de493c696c7ee8d1"


@pytest.mark.parametrize(("arguments", "expected"), [
    ([BEST], lambda: draw.arch(BEST)),
    ([BEST, "--costs", "--theme", "dark"], lambda: draw.arch(BEST, costs=True, theme="dark")),
    (["[[[0],[0,1,0,0]],[[1],[2,1,1,0]],[[0],[0,0,1,1]]]"], lambda: draw.arch("[[[0],[0,1,0,0]],[[1],[2,1,1,0]],[[0],[0,0,1,1]]]")),
    (["--schemes"], draw.schemes),
    (["--supernet", "--theme", "light"], lambda: draw.supernet(theme="light")),
])  # fmt: skip
def test_draw_prints_what_the_function_gives(arguments: list[str], expected: object, tmp_path: Path) -> None:
    assert bloxdb("draw", *arguments, cwd=tmp_path).stdout == expected()  # type: ignore[operator]
    done = bloxdb("draw", *arguments, "--out", "a.svg", cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("", "wrote a.svg\n")
    assert (tmp_path / "a.svg").read_text() == expected()  # type: ignore[operator]


def test_draw_needs_no_database(tmp_path: Path) -> None:
    bloxdb("draw", 7, "--out", "a.png", "--width", 300, cwd=tmp_path, BLOXDB_URL="nowhere.db")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(("arguments", "told"), [
    ([], "name one architecture, or give --schemes or --supernet"),
    (["7", "--schemes"], "name one architecture, or give --schemes or --supernet"),
    (["--schemes", "--supernet"], "name one architecture, or give --schemes or --supernet"),
    (["--schemes", "--costs"], "--costs is for one architecture"),
    (["7", "--width", "300"], "--width is for a .png; name one with --out"),
])  # fmt: skip
def test_draw_tells_what_does_not_go_together(arguments: list[str], told: str) -> None:
    assert told in bloxdb("draw", *arguments, code=2).stderr


@pytest.mark.parametrize(("arguments", "told"), [
    (["91125"], "an architecture index is in 0 … 91124"),
    (["7", "--out", "a.gif"], "a drawing is written as one of .svg, .png, .pdf"),
    (["7", "--out", "a.svg", "--width", "5"], "a width in pixels is for .png"),
    (["7", "--out", "no/such/a.svg"], "No such file or directory"),
])  # fmt: skip
def test_draw_says_what_is_wrong_in_a_line(arguments: list[str], told: str, tmp_path: Path) -> None:
    done = bloxdb("draw", *arguments, code=1, cwd=tmp_path)
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


FIGURES = {
    "costs": ["costs", "--x", "latency:desktop-cpu", "--max-flops", "3e8"],
    "costs of two": ["costs", "--x", "params", "--x", "train_time_s", "--by", "val_top1", "--seed", "mean"],
    "curves": ["curves", BEST, "--measure", "train_loss", "--seed", "3"],
    "agreement": ["agreement", "--recipe", "cifar100-10"],
    "blocks": ["blocks", "--max-latency", "desktop-cpu", "4"],
    "spread": ["spread", "--by", "flops", "--recipe", "*"],
}


@pytest.mark.slow
@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("ending", ["svg", "pdf"])
def test_plot_writes_a_figure(figure: str, ending: str, tiny_file: Path, tmp_path: Path) -> None:
    path = tmp_path / f"a.{ending}"
    done = bloxdb("plot", *FIGURES[figure], "--db", tiny_file, "--out", path)
    assert done.stderr == f"wrote {path}\n"
    assert path.stat().st_size > 5_000
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("arguments", "told"), [
    (["curves"], "curves are of architectures; name one or more"),
    (["costs", "7"], "an architecture says nothing of costs"),
    (["spread", "--x", "flops"], "--x says nothing of spread"),
    (["curves", "7", "--max-flops", "1e8"], "--max-flops says nothing of curves"),
    (["curves", "7", "--by", "flops"], "--by says nothing of curves"),
    (["blocks", "--measure", "val_top1"], "--measure says nothing of blocks"),
    (["costs", "--seed", "mean", "--seed", "1"], "--seed mean is over all seeds; give it alone"),
])  # fmt: skip
def test_plot_tells_what_does_not_go_together(
    arguments: list[str], told: str, tiny_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "a.svg"
    assert told in bloxdb("plot", *arguments, "--db", tiny_file, "--out", out, code=2).stderr


@pytest.mark.parametrize(("arguments", "told"), [
    (["costs", "--out", "a.gif"], "a figure is written as one of .pdf, .svg, .png"),
    (["costs", "--out", "a.svg", "--x", "latency:phone"], "there is no device 'phone'"),
    (["curves", "7", "--out", "a.svg"], "there is no finished run of architecture 7"),
    (["blocks", "--out", "a.svg", "--seed", "9"], "with seed 9; choose of: 3"),
])  # fmt: skip
def test_plot_says_what_is_wrong_in_a_line(
    arguments: list[str], told: str, tiny_file: Path, tmp_path: Path
) -> None:
    done = bloxdb("plot", *arguments, "--db", tiny_file, code=1, cwd=tmp_path)
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 200])
def test_show_fits_the_terminal_with_cells_and_curve(columns: int, tiny_file: Path) -> None:
    shown = on_terminal("show", BEST, "--db", tiny_file, COLUMNS=str(columns), NO_COLOR="1")
    lines = shown.splitlines()
    assert max(map(len, lines)) <= max(columns, len("[[[0],[0,1,0,0]],[[1],[2,1,1,0]],[[0],[0,0,1,1]]]"))
    assert shown.count("│mbconv│") + shown.count("│ conv │") + shown.count("│bconv │") >= 3
    is_beside = any("│" in line and "█" in line for line in lines)
    assert is_beside == (columns >= 80)


def test_show_draws_cells_without_a_run(empty_file: Path) -> None:
    done = bloxdb("show", 7, "--db", empty_file)
    assert "no runs" in done.stdout
    assert "┌──┴───┐" in done.stdout


def test_show_draws_in_ascii_where_there_is_nothing_else(tiny_file: Path) -> None:
    shown = bloxdb("show", BEST, "--db", tiny_file, PYTHONIOENCODING="ascii").stdout
    assert "+--+---+" in shown
    assert shown.isascii()
