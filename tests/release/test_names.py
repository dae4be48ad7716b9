"""A file's name and its header must agree, and what is nearly a release file's name is told."""

from __future__ import annotations

import gzip
import lzma
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bloxdb
from bloxdb import Database, codecs
from bloxdb.codecs import Header, Table
from bloxdb.codecs.columns import BENCH
from bloxdb.codecs.header import PLAIN_DEVICE
from bloxdb.db.references import device_id
from bloxdb.db.schema import Latency
from bloxdb.device_names import is_device_name
from bloxdb.errors import ReleaseError
from bloxdb.files import as_name, from_name
from bloxdb.release import left_out, release_files, verify_release
from bloxdb.release.names import (
    begins_as_pickle,
    check_name,
    is_results_name,
    looks_taken,
    parse_name,
    why_results_are_left_out,
)
from tests.cli.helpers import bloxdb as command
from tests.release.helpers import SMALL, TINY
from tests.test_device_names import NO_NAMES

WRONG = [
    ("blox-ext-0", "blox-ext-1", "ext of seed 1", "ext of seed 0"),
    ("blox-base-1", "blox-base-0", "base of seed 0", "base of seed 1"),
    ("blox-env-0", "blox-env-1", "env of seed 1", "env of seed 0"),
    ("blox-base-0", "blox-ext-0", "ext of seed 0", "base of seed 0"),
    ("blox-ext-1", "blox-base-1", "base of seed 1", "ext of seed 1"),
    ("blox-env-0", "blox-base-0", "base of seed 0", "env of seed 0"),
    ("blox-bench-jetson-nano", "blox-bench-desktop-cpu", "device desktop-cpu", "device jetson-nano"),
    ("blox-bench-jetson-nano", "blox-info", "info", "bench of device jetson-nano"),
    ("blox-info", "blox-bench-desktop-cpu", "bench of device desktop-cpu", "info"),
]


@pytest.fixture(scope="module")
def locked_db(empty_file: Path) -> Iterator[Database]:
    """A database that nothing gets as far as writing to."""
    with bloxdb.open(empty_file, read_only=True) as db:
        yield db


@pytest.mark.parametrize(
    ("extension", "source", "name", "claim", "truth"),
    [
        (extension, *wrong)
        for extension, wrong in zip(cycle([*codecs.FORMATS, "csv.gz"]), WRONG, strict=False)
    ],
)
def test_a_file_of_another_name_is_refused_by_every_entry(
    source: str,
    name: str,
    claim: str,
    truth: str,
    extension: str,
    golden: Path,
    tmp_path: Path,
    locked_db: Database,
) -> None:
    folder = tmp_path / "release"
    shutil.copytree(golden / SMALL, folder)
    for path in folder.glob(f"{name}.*"):
        path.unlink()
    wrong = folder / f"{name}.{extension}"
    if extension == "csv.gz":
        wrong.write_bytes(gzip.compress((golden / SMALL / f"{source}.csv").read_bytes()))
    else:
        shutil.copy(golden / SMALL / f"{source}.{extension}", wrong)
    message = f"{wrong}: the name says .*{claim}, but the header says .*{truth};"
    with pytest.raises(bloxdb.ReleaseError, match=message):
        bloxdb.from_folder(folder, extended=True, include_static_info=True, include_env_info=True)
    loaded, _ = verify_release(folder)
    problems = {file.path: file.problem for file in loaded if file.problem}
    assert list(problems) == [wrong]
    assert claim in str(problems[wrong])
    assert truth in str(problems[wrong])
    for place in (wrong, folder):
        with pytest.raises(bloxdb.ReleaseError, match=message):
            bloxdb.import_release(place, locked_db)


def test_a_name_that_says_nothing_is_as_good(golden: Path, tmp_path: Path, empty_db: Database) -> None:
    place = shutil.copy(golden / TINY / "blox-info.csv", tmp_path / "what I got.csv")
    assert bloxdb.import_release(place, empty_db).unchanged


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("blox-base-3.pkl", "rename it to blox-base-3.pickle if it is that"),
        ("blox-base-3.PKL", "rename it to blox-base-3.pickle"),
        ("blox-base-3.BLOX", "rename it to blox-base-3.blox"),
        ("Blox-Base-3.Csv", "rename it to blox-base-3.csv"),
        ("blox_base_3.csv", "rename it to blox-base-3.csv"),
        ("blox-base3.csv", "rename it to blox-base-3.csv"),
        ("blox-base-03.csv", "rename it to blox-base-3.csv"),
        ("blox-base-3 (1).blox", "rename it to blox-base-3.blox"),
        ("blox-base-3(2).csv", "rename it to blox-base-3.csv"),
        ("blox-base-3 - Copy.csv", "rename it to blox-base-3.csv"),
        ("blox-base-3 copy 2.csv", "rename it to blox-base-3.csv"),
        ("Copy of blox-base-3.csv", "rename it to blox-base-3.csv"),
        ("blox-base-3.csv.txt", "rename it to blox-base-3.csv"),
        ("blox-base-3.csv~", "rename it to blox-base-3.csv"),
        ("blox-base-3.blox.1", "rename it to blox-base-3.blox"),
        ("blox-base-3.pkl.gz", "rename it to blox-base-3.pickle.gz"),
        ("blox-base-3.CSV.XZ", "rename it to blox-base-3.csv.xz"),
        ("blox-base-3.blox.part", "an unfinished download"),
        ("blox-base-3.csv.gz.crdownload", "an unfinished download"),
        ("blox-base-3.csv.tmp", "an unfinished download"),
        ("blox-base-3.blox.gz", "it is packed; unpack it"),
        ("blox-base-3.zip", "it is packed; unpack it"),
        ("blox-base-3.csv.zst", "it is packed; unpack it"),
        ("blox-base.csv", "release files are named blox-info, blox-base-SEED"),
        ("blox-base-x.csv", "release files are named"),
        ("blox-info-1.csv", "release files are named"),
        ("blox-ext-1.parquet", "release files are named"),
        ("blox-bench-.csv", "release files are named"),
        ("blox-info", "release files are named"),
    ],
)
def test_what_looks_like_a_release_file_is_named(
    name: str, told: str, golden: Path, tmp_path: Path, locked_db: Database
) -> None:
    shutil.copy(golden / TINY / "blox-base-3.csv", tmp_path / name)
    for take in (bloxdb.from_folder, verify_release, lambda place: bloxdb.import_release(place, locked_db)):
        with pytest.raises(bloxdb.ReleaseError) as info:
            take(tmp_path)
        assert f"{name} is not taken: " in str(info.value)
        assert told in str(info.value)
    shutil.copy(golden / TINY / "blox-ext-3.csv", tmp_path)  # other files are there, but no base
    with pytest.warns(UserWarning, match="is not taken"), pytest.raises(bloxdb.ReleaseError) as info:
        bloxdb.from_folder(tmp_path)
    assert told in str(info.value)


def test_files_that_are_left_out_are_a_note_where_others_are_taken(
    golden: Path, tmp_path: Path, empty_db: Database
) -> None:
    folder = tmp_path / "release"
    shutil.copytree(golden / TINY, folder)
    shutil.copy(folder / "blox-base-3.csv", folder / "blox-base-3 (1).csv")
    (folder / "blox-ext-4.blox.part").write_bytes(b"---\n")
    (folder / ".blox-info.csv.swp").write_bytes(b"")
    (folder / "notes.txt").write_bytes(b"")
    (folder / "blox-ext-9.csv").mkdir()
    sentences = left_out([folder])
    assert sentences == [
        "blox-base-3 (1).csv is not taken: it looks like another copy of blox-base-3.csv",
        "blox-ext-4.blox.part is not taken: it is an unfinished download; get the whole file",
        "blox-ext-9.csv is not taken: it is a folder",
    ]
    with pytest.warns(UserWarning, match="is not taken") as told:
        bloxdb.from_folder(folder)
    assert [str(one.message) for one in told] == [f"{folder}: {sentence}" for sentence in sentences]
    assert {one.filename for one in told} == {__file__}
    assert bloxdb.import_release(folder, empty_db).notes == sentences
    done = command("import", folder, "--db", tmp_path / "a.db")
    assert [line for line in done.stderr.splitlines() if line.startswith("note: ")] == [
        f"note: {sentence}" for sentence in sentences
    ]
    assert all(f"note: {sentence}" in command("verify", folder).stderr for sentence in sentences)


def test_a_file_that_is_named_itself_is_told_how_to_be_called(
    golden: Path, tmp_path: Path, empty_db: Database
) -> None:
    path = shutil.copy(golden / TINY / "blox-base-3.pickle", tmp_path / "blox-base-3.pkl")
    with pytest.raises(bloxdb.ReleaseError, match="rename it to blox-base-3.pickle"):
        bloxdb.import_release(path, empty_db)
    second = shutil.copy(golden / TINY / "blox-base-3.csv", tmp_path / "blox-base-3 (1).csv")
    assert bloxdb.import_release(second, empty_db).added


def test_a_link_to_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "blox-info.csv").symlink_to(tmp_path / "gone")
    assert left_out([tmp_path]) == ["blox-info.csv is not taken: it is a link to nothing"]


OTHERS = [
    *(
        "blox-environment.yml",
        "blox-information.txt",
        "blox-benchmarks.md",
        "blox-extras.csv",
        "blox-based.csv",
    ),
    *("README-blox-info.md", "myblox_base.py", "myblox-base-3.csv", "a-blox-info.csv", "bloxinformer.csv"),
    *("blox-info.blox.sha256", "blox-info.csv.md5", "blox-base-3.blox.asc", "blox-ext-3.blox.torrent"),
    *(
        "blox_base.py",
        "blox-info.ipynb",
        "blox-base-notes.md",
        "blox-bench-plot.png",
        "blox-info.json",
        "blox.db",
    ),
]


@pytest.mark.parametrize("name", OTHERS)
def test_other_names_with_the_word_in_them_are_nobodys_business(
    name: str, golden: Path, tmp_path: Path
) -> None:
    shutil.copy(golden / TINY / "blox-base-3.csv", tmp_path)
    (tmp_path / name).write_bytes(b"")
    assert left_out([tmp_path]) == []
    bloxdb.from_folder(tmp_path)  # no warning, which would be an error here


DEVICES = [
    *("my_cpu", "jetson_nano-2GB", "rtx.4090", "Pixel 4a", "cpu (1)", "a b - Copy"),
    *("ü-βoard", "a.csv", "007", "x+y@2", "null"),
]


@pytest.mark.parametrize(("device", "extension"), list(zip(DEVICES, cycle(codecs.FORMATS), strict=False)))
def test_a_device_is_called_whatever_a_header_holds(
    device: str, extension: str, golden: Path, tmp_path: Path, empty_db: Database
) -> None:
    rows = codecs.read(golden / SMALL / "blox-bench-desktop-cpu.csv").rows()
    table = Table.from_rows(Header("benchmarking", BENCH, device=device), rows)
    folder = tmp_path / "release"
    folder.mkdir()
    shutil.copy(golden / SMALL / "blox-base-0.csv", folder)
    codecs.write(table, folder / f"blox-bench-{device}.{extension}")
    assert left_out([folder]) == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert bloxdb.from_folder(folder).devices == [device]
    bloxdb.import_release(folder, empty_db)
    assert empty_db.rows("SELECT name FROM devices") == [{"name": device}]
    report = bloxdb.export_release(tmp_path / "out", empty_db, format=extension)
    assert tmp_path / "out" / f"blox-bench-{device}.{extension}" in report.files
    assert release_files(tmp_path / "out")[f"blox-bench-{device}"]
    original = device.isascii() and device.replace("-", "").isalnum()
    assert any("the original package does not find" in note for note in report.notes) == (not original)
    assert verify_release(tmp_path / "out")[0][1].problem is None


@settings(max_examples=40)
@given(st.text(min_size=1, max_size=12).filter(is_device_name))
def test_names_of_devices_come_back_from_names_of_files(device: str) -> None:
    header = Header("benchmarking", BENCH, device=device)
    for extension, name in codecs.EXTENSIONS.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{header.stem}.{extension}"
            check_name(path, header)
            assert (parse_name(path) is None) is not bool(
                PLAIN_DEVICE.fullmatch(as_name(device))
            )  # no header says it
            data = b"".join(codecs.encode(Table.from_rows(header, []), name)[0])
            pack = {"gz": gzip.compress, "xz": lzma.compress}.get(extension.rpartition(".")[2], bytes)
            path.write_bytes(pack(data))
            assert parse_name(path) == (header.stem, extension)
            assert list(release_files(folder)) == [header.stem]
            other = path.with_name(f"{header.stem} (7).{extension}")
            path.rename(other)
            assert parse_name(other) is None  # it is the second copy of another file


@pytest.mark.parametrize("device", NO_NAMES)
def test_a_device_that_no_file_can_be_named_after_is_refused(device: str) -> None:
    with pytest.raises(bloxdb.BloxFormatError, match="device"):
        Header("benchmarking", BENCH, device=device)


@pytest.mark.parametrize("device", ["a/b", " ", "x" * 1000, "a---b"])
def test_bench_refuses_such_a_name_before_it_measures(device: str, empty_file: Path) -> None:
    done = command("bench", "--device-name", device, "--random", 1, "--db", empty_file, code=1)
    assert re.search("device|header", done.stderr)


ODD_DEVICES = [
    *(
        "../x",
        "a/b",
        "/etc/passwd",
        "..",
        ".",
        ".hidden",
        "ends.",
        "-rf",
        "--help",
        "a\\b",
        "C:x",
        "50%",
        "50%25",
    ),
    *("con", "NUL", "com1.x", "lpt9", "a?b*c", "<a>|b", 'q"q', " a ", "%2F", "a%2Fb", "é/ü"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("device", "extension"), list(zip(ODD_DEVICES, cycle(codecs.FORMATS), strict=False)))
def test_a_device_of_any_name_is_exported_within_the_folder_and_comes_back(
    device: str, extension: str, golden: Path, tmp_path: Path, empty_db: Database
) -> None:
    with empty_db.transaction() as session:
        session.add(Latency(arch_id=9, device_id=device_id(session, device), latency_ms=1.5))
    out = tmp_path / "deep" / "out"
    report = bloxdb.export_release(out, empty_db, format=extension)
    assert {path.parent for path in tmp_path.rglob("*") if path.is_file() and "blox-" in path.name} == {out}
    (bench,) = (path for path in report.files if path.name.startswith("blox-bench-"))
    assert bench.is_file()
    assert from_name(bench.name.removeprefix("blox-bench-").removesuffix(f".{extension}")) == device
    shutil.copy(golden / SMALL / "blox-base-0.csv", out)
    assert left_out([out]) == []
    assert bloxdb.from_folder(out).devices == [device]
    assert [file.problem for file in verify_release(out)[0]] == [None] * 3
    with bloxdb.create(tmp_path / "back.db", current=False) as back:
        bloxdb.import_release(out, back)
        assert back.rows("SELECT name FROM devices") == [{"name": device}]


def test_two_files_of_one_device_in_one_format_are_an_error(golden: Path, tmp_path: Path) -> None:
    rows = codecs.read(golden / SMALL / "blox-bench-desktop-cpu.csv").rows()
    table = Table.from_rows(Header("benchmarking", BENCH, device="a:b"), rows)
    for name in ("blox-bench-a:b.csv", "blox-bench-a%3Ab.csv"):
        codecs.write(table, tmp_path / name)
    with pytest.raises(ReleaseError, match="are both of one device"):
        release_files(tmp_path)


RESULTS = {
    "results_0_5.pickle": True, "results_10_20.pickle.gz": True, "results_random.pickle": True,
    "results_random.pickle.xz": True, "results_0.pickle": False, "results_0_5.pkl": False,
    "xresults_0_5.pickle": False, "results_0_5.pickle.part": False, "combined.pickle": False,
}  # fmt: skip


@pytest.mark.parametrize("name", RESULTS)
def test_training_results_are_known_by_their_names(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b"\x80")
    assert is_results_name(path) is RESULTS[name]
    assert looks_taken(path) is RESULTS[name]
    if RESULTS[name]:
        assert why_results_are_left_out(path) is None


@pytest.mark.parametrize("name", ["blox-base-0.blox", "blox-info.csv", "blox-bench-x.pickle"])
def test_release_files_look_taken_and_are_no_results(name: str, tmp_path: Path) -> None:
    assert looks_taken(tmp_path / name)
    assert not is_results_name(tmp_path / name)


@pytest.mark.parametrize(
    ("data", "begins"), [(b"\x80\x04", True), (b"\x80", True), (b"blox", False), (b"", False)]
)
def test_a_pickle_is_known_by_its_first_byte_packed_or_not(data: bytes, begins: bool, tmp_path: Path) -> None:
    plain, packed, damaged = (tmp_path / name for name in ("a.pickle", "a.pickle.gz", "b.pickle.gz"))
    plain.write_bytes(data)
    packed.write_bytes(gzip.compress(data))
    damaged.write_bytes(b"\x1f\x8b" + data)
    if data:
        assert (begins_as_pickle(plain), begins_as_pickle(packed)) == (begins, begins)
    assert not begins_as_pickle(damaged)
