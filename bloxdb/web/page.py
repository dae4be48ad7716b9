"""The files of the page itself, as they lie in the package; the same for a server and for a static copy."""

from __future__ import annotations

from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "site"
"""Where they lie: HTML, CSS, ES modules, and what others wrote, below ``vendor``."""

HOME = "/-/bloxdb"
"""Where a server has the pages of its databases."""

INDEX = "index.html"
"""The page."""

KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".md": "text/plain; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
}
"""The types of files, by their ending."""

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
}
"""What the page may load and run: nothing but what comes from where it comes from itself."""


def policy() -> str:
    """The Content-Security-Policy of the page; `INDEX` has the same, for where nobody sends it."""
    return "; ".join(f"{what} {where}" for what, where in POLICY.items())


@cache
def files() -> dict[str, Path]:
    """All files of the page, by their place below `FOLDER`."""
    paths = (path for path in sorted(FOLDER.rglob("*")) if path.suffix in KINDS)
    return {path.relative_to(FOLDER).as_posix(): path for path in paths}


@cache
def read(name: str) -> tuple[bytes, str]:
    """A file of the page and its type; it is read once, as a page is made of thirty.

    Parameters
    ----------
    name
        One of `files`.
    """
    path = files()[name]
    return path.read_bytes(), KINDS[path.suffix]
