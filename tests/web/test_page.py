"""The files of the page: what it may load, what others wrote, and that it names no other place."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from bloxdb.web import page

VENDOR = page.FOLDER / "vendor"
README = (VENDOR / "README.md").read_text()


def scripts() -> dict[str, str]:
    return {
        name: path.read_text()
        for name, path in page.files().items()
        if path.suffix in (".js", ".css", ".html")
    }


def test_the_page_says_itself_what_it_may_load() -> None:
    html = scripts()[page.INDEX]
    (found,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html)
    assert found == page.policy()
    assert "unsafe" not in found


def test_scripts_of_others_are_those_that_are_listed() -> None:
    listed = dict(re.findall(r"\| `(\S+?)` \| `([0-9a-f]{64})` \|", README))
    lying = {
        str(path.relative_to(VENDOR)): path
        for path in VENDOR.rglob("*.*")
        if path.name not in ("README.md", "LICENSE.txt")
    }
    assert {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in lying.items()} == listed
    assert {Path(name).parent for name in listed} == {
        path.relative_to(VENDOR).parent for path in VENDOR.rglob("LICENSE.txt")
    }
    assert (
        re.search(r"\(v(\S+)\)", (VENDOR / "uplot" / "uPlot.iife.min.js").read_text(encoding="utf-8")[:80])[1]
        in README
    )  # type: ignore[index]


def test_the_page_names_no_other_place() -> None:
    for name, text in scripts().items():
        if not name.startswith("vendor/"):
            assert set(re.findall(r"https?://[^\s\"'`)]+", text)) <= {"http://www.w3.org/2000/svg"}, name


def test_every_module_is_loaded_ahead_and_there() -> None:
    html = scripts()[page.INDEX]
    modules = {name for name in page.files() if name.startswith("js/")}
    assert set(re.findall(r'(?:href|src)="(js/[^"]+)"', html)) == modules
    for name in modules:
        for other in re.findall(r'(?:from|import\() ?"\./([^"]+)"', scripts()[name]):
            assert f"js/{other}" in modules, f"{name} imports {other}"


def test_texts_never_become_html() -> None:
    for name, text in scripts().items():
        if name.startswith("js/"):
            assert not re.search(
                r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", text
            ), name


def test_no_file_of_the_page_is_long() -> None:
    assert (
        max(len(text.splitlines()) for name, text in scripts().items() if not name.startswith("vendor/"))
        < 450
    )
