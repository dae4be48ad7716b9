"""Files and memory: what is left of a file, and arrays of new memory."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bloxdb.files import absolute, as_name, expanded, from_name, new_array, rest_of


def test_a_tilde_is_a_home_folder_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("~") == expanded(Path("~")) == tmp_path
    assert expanded("~/a/~/b") == tmp_path / "a" / "~" / "b"
    for other in ("a/~", "~nobody-is-called-so/x", "a~", ".", "/~"):
        assert expanded(other) == Path(other)


@pytest.mark.parametrize("size", [0, 1, 1000, (1 << 24) + 12_345, (1 << 25) + 1])
def test_the_rest_of_a_file_is_all_that_follows(tmp_path: Path, size: int) -> None:
    data = np.random.default_rng(0).bytes(100 + size)
    path = tmp_path / "file"
    path.write_bytes(data)
    with path.open("rb") as stream:
        assert stream.read(100) == data[:100]
        assert bytes(rest_of(stream)) == data[100:]
    memory = io.BytesIO(data)
    memory.seek(100)
    assert bytes(rest_of(memory)) == data[100:]


@pytest.mark.parametrize("shape", [(0,), (3, 5), (1 << 21, 1), (3, 1_000_003)])
def test_new_arrays_are_zero_and_can_be_written(shape: tuple[int, ...]) -> None:
    array = new_array(shape, np.int32)
    assert (array.shape, array.dtype) == (shape, np.int32)
    assert not array.any()
    array[...] = 7
    assert array.sum() == 7 * array.size


@given(st.text())
def test_any_text_is_a_name_within_one_folder_and_comes_back(text: str) -> None:
    name = as_name(text)
    assert from_name(name) == text
    assert not set(name) & set('/\\<>:"|?*')
    assert all(letter.isprintable() for letter in name)
    assert name not in (".", "..")
    assert not name.startswith(("-", ".", " "))
    assert not name.endswith((".", " "))
    assert name.partition(".")[0].rstrip().upper() not in {"CON", "PRN", "AUX", "NUL", "COM1", "LPT9"}


@pytest.mark.parametrize(
    "named",
    [
        "a.db",
        "./a.db",
        "sub/../a.db",
        "sub/../sub/../a.db",
        "sub/deep/../../a.db",
        "none/../a.db",
        "sub/./a.db",
    ],
)
def test_a_path_has_no_dots_and_names_the_same_file(
    named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    expected = tmp_path / ("sub/a.db" if named == "sub/./a.db" else "a.db")
    for path in (Path(named), tmp_path / named):
        assert absolute(path) == expected
        assert absolute(path).resolve() == path.resolve()


def test_what_is_above_a_link_is_above_the_folder_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "away")
    (tmp_path / "far" / "a.db").write_text("far")
    (tmp_path / "a.db").write_text("near")
    up = tmp_path / "link" / ".." / "a.db"
    assert absolute(up) == tmp_path / "far" / "a.db"
    assert absolute(up).read_text() == up.read_text() == "far"
    assert absolute(tmp_path / "link" / "b.db") == tmp_path / "link" / "b.db"  # a link stays as it was named
    below = tmp_path / "link" / "sub"
    below.mkdir()
    assert absolute(below / ".." / "b.db") == tmp_path / "link" / "b.db"
    assert absolute(Path("/../..")) == Path("/")
