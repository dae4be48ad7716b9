"""What is declared to be measured, and how a line of the table is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

Made = Callable[..., dict[str, float]]


def told(seconds: float, peak: float = 10) -> dict[str, float]:
    return {"seconds": seconds, "peak_mb": peak}


def met(line: str) -> bool:
    last = line.strip("| ").split(" | ")[-1]
    assert last in ("yes", "**no**")
    return last == "yes"


def test_each_line_has_a_title_and_each_baseline_a_line(harness: ModuleType) -> None:
    lines = [found for found in harness.DECLARED.values() if found.bound is not None]
    baselines = {name for name, found in harness.DECLARED.items() if found.bound is None}
    assert len({line.title for line in lines}) == len(lines) > 20
    assert all(line.title for line in lines)
    assert baselines <= {line.against for line in lines}, "a baseline that nothing is measured against"
    assert {line.against for line in lines} - {None} <= set(harness.DECLARED)


def test_results_have_a_line_of_each_measurement(harness: ModuleType, benchmarks: Path) -> None:
    shown = (benchmarks / "RESULTS.md").read_text()
    for line in harness.DECLARED.values():
        if line.bound is not None:
            assert shown.count(f"\n| {line.title} | ") == 1, line.title


def test_one_name_is_declared_once(harness: ModuleType) -> None:
    with pytest.raises(ValueError, match="two measurements are called 'inflate'; give one of them another"):
        harness.declare(harness.DECLARED["inflate"])


@pytest.mark.parametrize(("ours", "fine"), [([8, 1, 9], True), ([9, 8.1, 0.1], False)])
def test_a_ratio_is_that_of_the_medians(harness: ModuleType, ours: list[float], fine: bool) -> None:
    line = harness.Measurement(read, "read", 0.8, "base")
    shown = harness.row(line, {"read": [told(s) for s in ours], "base": [told(s) for s in (10, 1, 30)]})
    assert met(shown) is fine
    assert shown.startswith(
        f"| read | {sorted(ours)[1]:.3g} | 10 | {sorted(ours)[1] / 10:.3f} | 0.8 x | 10 |  | "
    )


@pytest.mark.parametrize(("seconds", "fine"), [(2, True), (2.01, False)])
def test_a_bound_in_seconds_needs_no_baseline(harness: ModuleType, seconds: float, fine: bool) -> None:
    line = harness.Measurement(read, "read", 2)
    assert met(harness.row(line, {"read": [told(seconds)]})) is fine


@pytest.mark.parametrize(("peak", "fine"), [(30, True), (31, False)])
def test_the_highest_peak_counts(harness: ModuleType, peak: float, fine: bool) -> None:
    line = harness.Measurement(read, "read", 2, "base", lambda ours, base: ours["peak_mb"] + base["peak_mb"])
    shown = harness.row(line, {"read": [told(1), told(1, peak), told(1)], "base": [told(1, 20)]})
    assert met(shown) is fine
    assert f"| {peak} | 30 |" in shown


def test_a_line_is_shown_with_its_baseline_only(harness: ModuleType) -> None:
    assert "read ext .blox" not in harness.table({"read_blox": [{"inflated_mb": 1, **told(1)}]})
    both = {"read_blox": [{"inflated_mb": 1, **told(1)}], "inflate": [told(1)]}
    assert "| read ext .blox | 1 | 1 | 1.000 | 0.8 x | 10 | 3 | **no** |" in harness.table(both)


def test_results_are_put_between_their_marks(
    harness: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "RESULTS.md"
    path.write_text("head\n<!-- table -->\nold\n<!-- end -->\nfoot\n")
    monkeypatch.setattr(harness, "RESULTS", path)
    for _ in range(2):  # the second time as well
        harness.write_between("<!-- table -->", "<!-- end -->", "new\n")
    assert path.read_text() == "head\n<!-- table -->\n\nnew\n\n<!-- end -->\nfoot\n"


def read(work: Path) -> dict[str, float]:
    raise AssertionError(f"only its name is asked for, not a measurement in {work}")
