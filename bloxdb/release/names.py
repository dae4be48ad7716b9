"""What release files and training results are called, whether headers agree, and what is nearly a name."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from bloxdb import codecs
from bloxdb.codecs import Header
from bloxdb.codecs.header import PLAIN_DEVICE
from bloxdb.codecs.packed import PACKINGS
from bloxdb.errors import BloxFormatError, ReleaseError
from bloxdb.files import as_name, what_is
from bloxdb.release.packings import contents

EXPECTED = (
    "blox-info, blox-base-SEED, blox-ext-SEED, blox-env-SEED or blox-bench-DEVICE, ending in "
    f".{', .'.join(codecs.EXTENSIONS)}"
)
"""How release files are named, for messages."""

RESULTS_EXPECTED = "results_FIRST_END.pickle or results_random.pickle"
"""How the original names its training results."""

_ENDING = rf"\.(?P<extension>{'|'.join(map(re.escape, codecs.EXTENSIONS))})"
_SEED = r"(?:0|[1-9][0-9]*)"
_NAME = re.compile(rf"(?P<stem>blox-(?:info|(?:base|ext|env)-{_SEED}|bench-(?P<device>.+))){_ENDING}")
_COPY = r"(?: ?\([0-9]+\)| - copy(?: \([0-9]+\))?| copy(?: [0-9]+)?)"  # browsers, Windows, macOS
_SECOND = re.compile(rf"(?P<stem>.*?){_COPY}{_ENDING}", re.IGNORECASE)
# whole words, at the start or after a space: 'Copy of blox-info.csv', not 'myblox_base' or 'blox-environment'
_NEARLY = re.compile(
    r"(?:^|(?<= ))blox[-_. ]?(?P<kind>info|base|ext|env|bench)(?![^\W\d_])(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_BESIDE = re.compile(  # what people keep beside such files: sums, signatures, notes, programs, databases
    r".*\.(?:md5|sha[0-9]+|sums?|asc|sig|torrent|md|rst|html?|pdf|py|ipynb|sh|ya?ml|toml|json|log|png|svg|db)",
    re.IGNORECASE | re.DOTALL,
)
_UNFINISHED = re.compile(
    r".*\.(?:part|partial|filepart|crdownload|download|opdownload|aria2|tmp|!qb|!ut)",
    re.IGNORECASE | re.DOTALL,
)
_PACKED = re.compile(
    r".*\.(?:gz|xz|zip|bz2|zst|zstd|lz4|lzma|7z|rar|tar|tgz|txz|z|br)", re.IGNORECASE | re.DOTALL
)
_AFTER = re.compile(r"(?:\.txt|\.bak|\.old|\.orig|\.[0-9]+|~)+$", re.IGNORECASE)  # editors, Windows, wget
_PICKLE = r"\.pickle(?:\.(?:" + "|".join(PACKINGS) + "))?"
_RESULTS = re.compile(rf"results_(?:[0-9]+_[0-9]+|random){_PICKLE}")
_NEARLY_RESULTS = re.compile(
    r"(?:^|(?<= ))results[-_. ]?(?P<which>[0-9]+[-_. ][0-9]+|random)"
    r"(?P<rest>(?=.*\.(?:pickle|pkl|pck|p)(?![^\W_]))\W.*)",
    re.IGNORECASE | re.DOTALL,
)
_SOME_RESULTS = re.compile(
    rf"(?:.*[\W_])?(?:results|combined)(?:[\W_].*)?(?:\.pkl|\.pck|\.p|{_PICKLE})", re.IGNORECASE | re.DOTALL
)
_KINDS = {"base": "seed", "ext": "seed", "env": "seed", "bench": "device"}


def parse_name(path: Path) -> tuple[str, str] | None:
    """Stem, as `Header.stem` has it, and extension of a release file's name; None for any other name.

    A device may be called anything that a header holds. But 'cpu (1)' is rather the second copy of a file
    about 'cpu': unusual names count only where the header says the same.
    """
    match = _NAME.fullmatch(path.name)
    if match is None:
        return None
    device, stem = match["device"], match["stem"]
    if device is not None and PLAIN_DEVICE.fullmatch(device):
        stem = f"blox-bench-{as_name(device)}"
    elif device is not None:
        stem = _said_by(path, stem)
    return None if stem is None else (stem, match["extension"])


def looks_taken(path: Path) -> bool:
    """Whether a file is named as one that is read, whatever is in it."""
    return _NAME.fullmatch(path.name) is not None or is_results_name(path)


def check_name(path: Path, header: Header) -> None:
    """A file's name and its header must say the same; a name that says nothing is as good.

    Raises
    ------
    ReleaseError
        They say different kinds, seeds or devices.
    """
    match = _SECOND.fullmatch(path.name)
    name = path.name if match is None else f"{match['stem']}.{match['extension']}"
    claim = _NAME.fullmatch(name)
    if claim is None:
        return
    whole = path.name.removesuffix(f".{claim['extension']}")
    if _stems(header) & {_composed(claim["stem"]), _composed(whole)}:
        return
    raise ReleaseError(
        f"{path}: the name says {_said(claim['stem'])}, but the header says {_said(header.stem)}; "
        f"name it {header.stem}.{claim['extension']} if the header is right, or get the right file"
    )


def checked_header(path: Path) -> Header:
    """The header of a file, which agrees with its name."""
    header = codecs.read_header(path)
    check_name(path, header)
    return header


def why_left_out(path: Path) -> str | None:
    """Why something that looks like a release file is not taken, and what to do; None for anything else."""
    nearly = _NEARLY.search(path.name)
    if nearly is None or _is_of_others(path, _NAME):
        return None
    return (
        f"{path.name} is not taken: {_reason(path, _repaired(nearly), f'release files are named {EXPECTED}')}"
    )


def is_results_name(path: Path) -> bool:
    """Whether a file is named as the original names its training results, packed or not."""
    return _RESULTS.fullmatch(path.name) is not None


def why_results_are_left_out(path: Path) -> str | None:
    """Why something that looks like training results is not taken, and what to do; None for anything else.

    Pickles may be of anything: what is named as no trainer names them counts only if it begins as they do.
    """
    if _is_of_others(path, _RESULTS) or (is_results_name(path) and path.is_file()):
        return None
    expected = f"training results are named {RESULTS_EXPECTED}"
    if nearly := _NEARLY_RESULTS.search(path.name):
        return f"{path.name} is not taken: {_reason(path, _repaired_results(nearly), expected)}"
    if path.is_file() and _SOME_RESULTS.fullmatch(path.name) and begins_as_pickle(path):
        return (
            f"{path.name} is not taken: {expected}; to import it, name the file itself, with --recipe and "
            "--seed if it is a combined one"
        )
    return None


def begins_as_pickle(path: Path) -> bool:
    """Whether a file, unpacked, is a pickle from its first byte on, as no release file is."""
    try:
        return contents(path, 1) == b"\x80"
    except BloxFormatError:  # whoever reads the file says what is wrong
        return False


def _is_of_others(path: Path, names: re.Pattern[str]) -> bool:
    """Whether a file is what people keep beside such files, or what some program keeps for itself."""
    name = path.name
    is_folder = path.is_dir() and not names.fullmatch(name)
    return bool(_BESIDE.fullmatch(name)) or name.startswith(".") or is_folder


def _reason(path: Path, right: str | None, expected: str) -> str:
    """Why a file is not taken whose right name may be known."""
    if not path.is_file():
        return f"it is {what_is(path) or 'a link to nothing'}"
    if _UNFINISHED.fullmatch(path.name):
        return "it is an unfinished download; get the whole file"
    if right is None and _PACKED.fullmatch(path.name):
        return "it is packed; unpack it"
    if right is None:
        return expected
    if right == path.name:
        return "its header does not name this device"
    if (path.parent / right).exists():
        return f"it looks like another copy of {right}"
    return f"rename it to {right} if it is that"


def _repaired(nearly: re.Match[str]) -> str | None:
    """The name of a release file that somebody may have meant."""
    rest = _with_right_ending(nearly)
    match = re.fullmatch(rf"(?P<middle>.*?){_COPY}?(?:{_ENDING})", rest, re.IGNORECASE | re.DOTALL)
    if match is None:
        return None
    middle = re.sub(r"^[_. ]", "-", match["middle"])
    if nearly["kind"].lower() != "bench":
        middle = re.sub(r"^-?0*(?=[0-9])", "-", middle)
    right = f"blox-{nearly['kind'].lower()}{middle}.{match['extension'].lower()}"
    return right if _NAME.fullmatch(right) else None


def _repaired_results(nearly: re.Match[str]) -> str | None:
    """The name of training results that somebody may have meant."""
    match = re.fullmatch(rf"{_COPY}?(?P<ending>{_PICKLE})", _with_right_ending(nearly), re.IGNORECASE)
    if match is None:
        return None
    which = re.sub(r"\W", "_", nearly["which"])
    return f"results_{which}{match['ending']}".lower()


def _with_right_ending(nearly: re.Match[str]) -> str:
    """The end of a name without what editors add, and with .pickle as it is written here."""
    rest = _AFTER.sub("", nearly["rest"])
    return re.sub(r"\.pkl(?=$|\.)|\.p$|\.pck$", ".pickle", rest, flags=re.IGNORECASE)


def _said_by(path: Path, stem: str) -> str | None:
    """The stem that the header of a file says; None if its name says another."""
    try:
        header = codecs.read_header(path)
    except (BloxFormatError, OSError):
        return None
    return header.stem if _composed(stem) in _stems(header) else None


def _stems(header: Header) -> set[str]:
    """How files of a header may be called: the device as a name, or as it is where a path can have it."""
    return {_composed(header.stem)} | ({f"blox-bench-{_composed(header.device)}"} if header.device else set())


def _composed(stem: str) -> str:
    """A name as headers have it: file systems of macOS take letters and their accents apart."""
    return unicodedata.normalize("NFC", stem)


def _said(stem: str) -> str:
    kind, _, which = stem.removeprefix("blox-").partition("-")
    return f"{kind} of {_KINDS[kind]} {which}" if kind in _KINDS else kind
