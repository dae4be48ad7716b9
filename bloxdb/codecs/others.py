"""What is found in place of a release file, under its name."""

from __future__ import annotations

import re

from bloxdb.errors import BloxFormatError

BOM = b"\xef\xbb\xbf"
"""What some editors begin a text in UTF-8 with."""

_LOOK = 2048
_OTHERS = [
    (
        rb"version https?://(?:git-lfs\.github\.com|git-media\.io|hawser\.github\.com)/",
        "this is a Git LFS pointer, not the file itself; get that with `git lfs pull`",
    ),
    (
        rb"(?:\.\./)*(?:\.git)?/annex/objects/|(?:\.\./)*\.git/annex/objects/",
        "this is a git-annex pointer, not the file itself; get that with `git annex get`",
    ),
    (
        rb"<(?:.*?<)?(?:!doctype\s+html|html|head|body)\b",
        "this is an HTML page, not the file itself; get the file that the page links to (on GitHub, 'raw')",
    ),
    (rb"<", "this is XML, perhaps a server's message, not the file itself; get it again"),
    (rb"\x1f\x8b", "the file is packed with gzip; end its name in .gz, or unpack it"),
    (rb"\xfd7zXZ\0", "the file is packed with xz; end its name in .xz, or unpack it"),
    (rb"PK\x03\x04|BZh[1-9]|\x28\xb5\x2f\xfd|7z\xbc\xaf", "the file is packed; unpack it"),
    (rb"\xff\xfe|\xfe\xff", "the file is UTF-16; save it as UTF-8"),
]
"""How such files begin, and what to say of them."""

_PATTERNS = [(re.compile(pattern, re.IGNORECASE | re.DOTALL), what) for pattern, what in _OTHERS]


def refuse_others(data: bytes) -> None:
    """Say what a file is that has come in place of a release file; nothing if it is none of the known ones.

    Parameters
    ----------
    data
        The first bytes of the file.

    Raises
    ------
    BloxFormatError
        It is empty, a page of the web, a pointer to a file, or packed.
    """
    if not data:
        raise BloxFormatError("no header: the file is empty; get it again")
    start = data[:_LOOK].removeprefix(BOM).lstrip()
    for pattern, what in _PATTERNS:
        if pattern.match(start):
            raise BloxFormatError(f"no header: {what}")
