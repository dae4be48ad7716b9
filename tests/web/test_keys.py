"""The page and Python mean the same by a text that names an architecture: both are asked about many."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from bloxdb import space
from bloxdb.errors import InvalidArchError
from tests.web.browser import FOUND, opened, see

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(FOUND is None, reason="there is no chromium; name one in BLOXDB_TEST_BROWSER"),
]

HASH = space.model_hash(53_215)
NESTED = "[[[2],[1,0,1,1]],[[0],[0,1,0,0]],[[1],[2,1,1,0]]]"
FLAT = "2,1,0,1,1,0,0,1,0,0,1,2,1,1,0"
NO_PATH = "[[[0],[0,0,0,0]],[[0],[0,1,0,0]],[[1],[2,1,1,0]]]"
BLANKS = [
    chr(code) for code in (*range(33), 0x7F, 0x85, 0xA0, 0x1680, 0x180E, *range(0x2000, 0x2010), 0x2028,
                           0x2029, 0x202F, 0x205F, 0x2060, 0x3000, 0xFEFF)
]  # fmt: skip
OTHER_DIGITS = ["٥", "५", "5", "²", "①", "𝟓", "٠" * 8, "a" * 8]
KINDS: dict[str, list[str]] = {
    "indices": ["0", "5", "91124", "91125", "99999", "100000", "9999999", "405.0", "4e2", "0x5", "5n", "1/1"],
    "signs": ["+5", "-5", "+0", "-0", "--5", "+-5", "+ 5", "- 0", "+", "-", "−5", "+91124", "-91124", "+91125"],
    "leading zeros": ["00", "05", "000005", "0000005", "00000005", "+00000005", "-00000000", "0" * 32, "0" * 33,
                      "0" * 32 + "5", "0" * 99 + "5", "0" * 100, "0" * 101, "+" + "0" * 98 + "5",
                      "+" + "0" * 99 + "5", "+" + "0" * 100 + "5"],
    "many digits": ["9" * count for count in (7, 8, 9, 31, 32, 33, 34, 99, 100, 101, 400, 5000)],
    "underscores": ["1_000", "_5", "5_", "1,000", "1 000", "1'000"],
    "other digits": [*OTHER_DIGITS, *(NESTED.replace("2", one[:1]) for one in OTHER_DIGITS)],
    "nothing": ["", "[]", "[[]]", "[[],[],[]]", "null", "true", "NaN", "None", "nonsense", "{}", '"5"', "[", "]", ","],
    "hashes": [HASH, HASH.upper(), HASH[::-1], "f" * 32, HASH[:31], HASH + "0", f"0x{HASH}", f"{HASH[:8]}-{HASH[8:]}",
               *(HASH[:count] for count in (1, 6, 7, 8, 9, 16)), HASH[:8].upper(), HASH[:8].title(), HASH[1:],
               HASH[:8] + "g", "deadbeef", "12345678", "1" * 32, "a" * 33, "g" * 8, HASH[:8] + "0" * 24],
    "blanks around": [f"{blank}{key}{blank}" for key in ("5", "-0", HASH[:8], NESTED, FLAT) for blank in BLANKS],
    "blanks within": [key.replace(",", f",{blank}", 3).replace(HASH[:4], HASH[:4] + blank)
                      for key in (HASH[:8], NESTED, FLAT) for blank in BLANKS],
    "vectors": [NESTED, FLAT, f"[{FLAT}]", NESTED[1:-1], FLAT.replace(",", " "), FLAT.replace(",", ";"), f"({FLAT})",
                json.dumps(json.loads(NESTED), indent=2), json.dumps(json.loads(f"[{FLAT}]"), indent=1),
                NESTED.replace("[", "(").replace("]", ")")],
    "brackets": [f"[{NESTED}]", f"{NESTED}]", f"[{NESTED}", NESTED[:-1], NESTED[1:], f"{FLAT}]", f"[{FLAT}", f"[[{FLAT}]]",
                 FLAT.replace(",", "],[", 1), NESTED.replace("[2]", "2"), NESTED.replace("[2]", "[[2]]"),
                 NESTED.replace("[2]", "[]"), NESTED.replace("[2]", "[2,2]"), NESTED.replace("[1,0,1,1]", "1,0,1,1"),
                 f"[{FLAT.replace('2', '[2]')}]", "[[2,1,0,1,1],[0,0,1,0,0],[1,2,1,1,0]]"],
    "numbers that are none": [NESTED.replace("2", one, 1) for one in
                              ("2.0", "2e0", "20e-1", "02", "+2", "-2", "-0", "--0", "- 0", "0x2", "true", "null",
                               "NaN", "-Infinity", '"2"', "{}", "", "3", "2_", "1" * 5000, "0.0", "0e9", "-0.0")],
    "out of range": [FLAT[:2 * at] + digit + FLAT[2 * at + 1:] for at in range(15) for digit in "0123"],
    "no path": [NO_PATH, NO_PATH.upper(), NO_PATH.replace("2", "3"), NO_PATH[:-1], "0," * 14 + "0", "[" + "0," * 14 + "0]"],
    "trailing": [f"{key}{more}" for key in ("5", HASH, NESTED, FLAT)
                 for more in (",", "]", " # x", " 5", "\n5", ".", ";", "\0", ",0", "[]", "//", "\n\n")],
    "other counts": [",".join(["1"] * count) for count in (1, 2, 3, 5, 14, 15, 16, 30)]
                    + [f"[{','.join(['[[0],[0,1,0,0]]'] * count)}]" for count in (1, 2, 3, 4, 15)],
    "deep": ["[" * 100_000, "[" * 50_000 + "]" * 50_000],
}  # fmt: skip


@pytest.fixture(scope="module")
def asked(browser: Any, live: str) -> Iterator[Any]:
    with opened(browser) as page:
        see(page, f"{live}#/compare")
        yield page


def page_finds(page: Any, texts: list[str]) -> list[Any]:
    """For each text an index, None, or "malformed"."""
    found: list[Any] = page.evaluate(
        """async (texts) => {
            const load = (name) => import(new URL(`js/${name}.js`, location.href));
            const [{ find }, { Space }, { about }] = await Promise.all(["keys", "space", "data"].map(load));
            const space = new Space(await about());
            return Promise.all(texts.map((text) => find(space, text).catch((error) => {
                if (error.constructor !== Error || error.message.length < 40) throw error; // no sentence of ours
                return "malformed";
            })));
        }""",
        texts,
    )
    return found


def python_finds(text: str) -> int | str | None:
    try:
        return space.find_arch(text)
    except InvalidArchError:
        return "malformed"


def compare(page: Any, texts: list[str]) -> set[str]:
    """Both are asked; what kinds of answers there were."""
    expected = [python_finds(text) for text in texts]
    found = page_finds(page, texts)
    other = [
        (text[:200], *both) for text, *both in zip(texts, expected, found, strict=True) if both[0] != both[1]
    ]
    assert other == []
    assert all(type(one) is type(two) for one, two in zip(found, expected, strict=True))
    return {"index" if isinstance(one, int) else str(one) for one in found}


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_means_the_same_to_the_page_and_to_python(asked: Any, kind: str) -> None:
    compare(asked, KINDS[kind])


def test_so_does_whatever_a_slip_makes_of_one(asked: Any) -> None:
    drawn = random.Random(5)
    texts = []
    for _ in range(4000):
        letters = [*drawn.choice(["5", "-0", "91124", HASH, HASH[:8], NESTED, FLAT, f"[{FLAT}]", NO_PATH])]
        for _ in range(drawn.choice((1, 1, 2, 3))):
            at = drawn.randrange(len(letters) + 1)
            letters[at : at + drawn.choice((0, 1))] = drawn.choice(["", *"0123[],-+.e_ \n\ta\x85\ufeff"])
        texts.append("".join(letters))
    assert compare(asked, texts) == {"index", "None", "malformed"}


@pytest.mark.slow
def test_every_block_is_found_in_each_stage(asked: Any) -> None:
    indices = {block * 45**stage for block in range(45) for stage in range(3)}
    assert compare(asked, [space.vec_text(space.arch_vec(index)) for index in sorted(indices)]) == {"index"}
    assert compare(asked, [space.model_hash(index) for index in range(0, space.NUM_ARCHS, 97)]) == {"index"}
