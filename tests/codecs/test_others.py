"""Other files under the names of release files are called what they are."""

from __future__ import annotations

from pathlib import Path

import pytest

import bloxdb
from bloxdb import codecs
from bloxdb.codecs.formats import EXTENSIONS
from bloxdb.errors import BloxFormatError
from bloxdb.release import verify_release
from bloxdb.release.names import checked_header
from tests.codecs.strategies import few_rows

OTHERS = [
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "a Git LFS pointer"),
    (b"version http://git-media.io/v/2\noid sha256:4d7a\nsize 1\n", "a Git LFS pointer"),
    (b"/annex/objects/SHA256E-s1--ab.csv\n", "a git-annex pointer"),
    (b"../../.git/annex/objects/a/b/SHA256E-s1--ab.csv", "a git-annex pointer"),
    (b"<!DOCTYPE html>\n<html lang=en>", "an HTML page"),
    (b"\r\n\n  <!doctype HTML PUBLIC '-//W3C'>", "an HTML page"),
    (b"\xef\xbb\xbf<html><head><title>Sign in</title>", "an HTML page"),
    (b"<?xml version='1.0'?>\n<!-- a --><!DOCTYPE html>", "an HTML page"),
    (b"<!-- saved from url -->\n<HTML>", "an HTML page"),
    (b"<head><title>404</title></head>", "an HTML page"),
    (b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>", "XML"),
    (b"PK\x03\x04\x14", "the file is packed"),
    (b"BZh91AY", "the file is packed"),
    (b"\x28\xb5\x2f\xfd\x04", "the file is packed"),
    ("---\nversion: 1\n".encode("utf-16"), "UTF-16"),
    (b"", "the file is empty"),
    (b"Not Found", "a release file starts with '---'"),
    (b"<" * 100_000, "XML"),
    (b"<!--" + b"-->" * 1000, "XML"),
]


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize(("data", "what"), OTHERS)
def test_other_files_are_called_what_they_are(data: bytes, what: str, extension: str, tmp_path: Path) -> None:
    path = tmp_path / f"blox-base-0.{extension}"
    path.write_bytes(data)
    if data == b"Not Found" and "." in extension:
        what = "that is not what the file is"
    for read in (
        codecs.read,
        codecs.read_header,
        checked_header,
        lambda _: bloxdb.from_folder(tmp_path),
    ):
        with pytest.raises(BloxFormatError, match=what) as info:
            read(path)
        assert str(info.value).startswith(str(path))
    assert what in str(verify_release(tmp_path)[0][0].problem)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize(
    "stem", ["blox-info", "blox-base-0", "blox-ext-1", "blox-env-1", "blox-bench-jetson-nano"]
)
def test_csv_files_that_went_through_an_editor_are_read(
    stem: str, mark: bytes, end: bytes, golden: Path, tmp_path: Path
) -> None:
    source = golden / "release-small" / f"{stem}.csv"
    data = source.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", end)
    path = tmp_path / source.name
    path.write_bytes(mark + data)
    assert codecs.read(path).difference(codecs.read(source)) is None
    assert codecs.read_header(path) == codecs.read_header(source)


def test_a_header_near_its_limit_is_found_with_longer_lines_too(golden: Path) -> None:
    for name in ("d" * n for n in range(1, 900, 7)):
        header = codecs.Header("training", ("model_hash", "test_top1"), 0, 1, name, "base")
        try:
            data = b"".join(codecs.encode(codecs.Table.from_rows(header, [["0" * 32, 1.5]]), "csv")[0])
        except BloxFormatError as error:
            assert "the header would have" in str(error)
            break
        edited = b"\xef\xbb\xbf" + data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        assert codecs.decode(edited).rows() == [["0" * 32, 1.5]]
    else:
        raise AssertionError("the limit was not reached")


@pytest.mark.parametrize("name", ["blox", "pickle"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_other_formats_that_went_through_an_editor_are_damaged(name: str, mark: bytes, golden: Path) -> None:
    head, *body = codecs.encode(few_rows(golden, "blox-info"), name)[0]
    edited = mark + (head if mark else head.replace(b"\n", b"\r\n")) + b"".join(body)
    with pytest.raises(BloxFormatError, match="changed by an editor"):
        codecs.decode(edited)
