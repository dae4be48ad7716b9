"""Several packings of one file in a folder: equal ones are one, different ones are an error of every entry."""

from __future__ import annotations

import gzip
import lzma
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import bloxdb
from bloxdb import Database, codecs
from bloxdb.codecs import Table
from bloxdb.release import verify_release
from tests.cli.helpers import bloxdb as command
from tests.release.helpers import RAW, TINY, changed, content

PACK: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}
PAIRS = [("csv", "csv.gz"), ("csv.gz", "csv.xz"), ("pickle", "pickle.xz"), ("pickle.gz", "pickle.xz")]
FILES = [
    *(("blox-base-3", "test_top1", 1.5), ("blox-ext-3", "test_loss", 1.5), ("blox-env-3", "gpu", "another")),
    *(("blox-info", "params", 1), ("blox-bench-desktop-cpu", "latency", 1.5)),
]
RESULTS = [".pickle", ".pickle.gz", ".pickle.xz"]


def put(data: bytes, folder: Path, name: str) -> Path:
    """Bytes under a name, packed as it says."""
    path = folder / name
    path.write_bytes(PACK[path.suffix if path.suffix in PACK else ""](data))
    return path


@pytest.fixture
def folder(golden: Path, tmp_path: Path) -> Path:
    """A release of .blox files."""
    place = tmp_path / "release"
    place.mkdir()
    for path in (golden / TINY).glob("*.blox"):
        shutil.copy(path, place)
    return place


def other_of(stem: str, format: str, column: str, value: object, golden: Path, folder: Path) -> bytes:
    """A release file with one other value."""
    source = golden / TINY / f"{stem}.{format}"
    path = changed(source, folder.parent / f"{stem}.{format}", 0, column, value)
    data = path.read_bytes()
    path.unlink()
    return data


def from_folder(folder: Path) -> bloxdb.Dataset:
    return bloxdb.from_folder(folder, extended=True, include_static_info=True, include_env_info=True)


@pytest.mark.parametrize("pair", PAIRS, ids=str)
@pytest.mark.parametrize(("stem", "column", "value"), FILES)
def test_different_packings_of_a_file_are_an_error_that_names_both(
    stem: str,
    column: str,
    value: object,
    pair: tuple[str, str],
    folder: Path,
    golden: Path,
    empty_db: Database,
) -> None:
    format = codecs.EXTENSIONS[pair[0]]
    (folder / f"{stem}.blox").unlink()
    first = put((golden / TINY / f"{stem}.{format}").read_bytes(), folder, f"{stem}.{pair[0]}")
    second = put(other_of(stem, format, column, value, golden, folder), folder, f"{stem}.{pair[1]}")
    told = f"{re.escape(str(first))} and {second.name} are packings of one file, but differ: row .*, column {column}: .*; remove the wrong one"
    with pytest.raises(bloxdb.ReleaseError, match=told):
        from_folder(folder)
    with pytest.raises(bloxdb.ReleaseError, match=told):
        bloxdb.import_release(folder, empty_db)
    loaded, checks = verify_release(folder)
    assert {first, second} <= {file.path for file in loaded}
    assert [check.format for check in checks if not check.equal] == [format]
    (difference,) = next(check for check in checks if not check.equal).differences
    assert difference.startswith(f"{first.name} and {second.name} differ: row ")
    done = command("verify", folder, code=1)
    assert difference in done.stdout


def reordered(golden: Path, name: str) -> bytes:
    """A release file with its rows in another order."""
    table = codecs.read(golden / TINY / name)
    return b"".join(codecs.encode(Table.from_rows(table.header, table.rows()[::-1]), name.split(".")[-1])[0])


@pytest.mark.parametrize("is_reordered", [False, True])
@pytest.mark.parametrize("format", ["csv", "pickle"])
def test_equal_packings_are_one_file(
    format: str, is_reordered: bool, folder: Path, golden: Path, tiny_db: Database, empty_db: Database
) -> None:
    for path in folder.iterdir():
        path.unlink()
    for path in (golden / TINY).glob(f"*.{format}"):
        put(path.read_bytes(), folder, path.name)
        put(reordered(golden, path.name) if is_reordered else path.read_bytes(), folder, f"{path.name}.gz")
        put(path.read_bytes(), folder, f"{path.name}.xz")
    report = bloxdb.import_release(folder, empty_db)
    assert content(empty_db) == content(tiny_db)
    assert {path.suffix for path in report.files} == {f".{format}"}
    assert report.notes == []
    assert len(from_folder(folder)) == len(from_folder(golden / TINY))
    loaded, checks = verify_release(folder)
    assert len(loaded) == 3 * len(report.files)
    assert all(check.equal for check in checks)
    assert f".{format}: there is no other format to compare with\n" in command("verify", folder).stdout


def test_a_format_that_is_not_asked_for_is_not_looked_at(folder: Path, golden: Path) -> None:
    put((golden / TINY / "blox-info.csv").read_bytes(), folder, "blox-info.csv")
    put(b"damaged", folder, "blox-info.csv.gz")
    assert len(from_folder(folder))  # .blox is there


@pytest.mark.parametrize("damaged", [0, 1])
def test_a_damaged_packing_is_not_passed_over(
    damaged: int, folder: Path, golden: Path, empty_db: Database
) -> None:
    (folder / "blox-base-3.blox").unlink()
    data = (golden / TINY / "blox-base-3.csv").read_bytes()
    pair = [put(data, folder, "blox-base-3.csv.gz"), put(data, folder, "blox-base-3.csv.xz")]
    pair[damaged].write_bytes(pair[damaged].read_bytes()[:-20])
    for take in (from_folder, lambda place: bloxdb.import_release(place, empty_db)):
        with pytest.raises(bloxdb.ReleaseError, match="one is damaged") as caught:
            take(folder)
        assert all(path.name in str(caught.value) for path in pair)
    _, checks = verify_release(folder)
    assert [check.differences for check in checks if not check.equal] == [
        (f"{pair[damaged].name} does not load",)
    ]


@pytest.mark.parametrize("ending", RESULTS)
@pytest.mark.parametrize("name", ["results_0_15", "results_random"])
def test_packed_training_results_are_read_as_they_are(
    name: str, ending: str, golden: Path, tmp_path: Path, empty_db: Database
) -> None:
    source = golden / RAW / f"{name}.pickle"
    path = put(source.read_bytes(), tmp_path, f"{name}{ending}")
    report = bloxdb.import_release(tmp_path, empty_db)
    assert report.files == [path]
    assert report.added
    assert bloxdb.import_release(source, empty_db).unchanged == report.added
    assert bloxdb.import_release(path, empty_db).unchanged == report.added


@pytest.mark.parametrize(("one", "other"), [(".pickle", ".pickle.gz"), (".pickle.gz", ".pickle.xz")])
def test_packings_of_training_results_are_one_file_or_an_error(
    one: str, other: str, golden: Path, tmp_path: Path, empty_db: Database
) -> None:
    data, others = ((golden / RAW / f"results_{which}.pickle").read_bytes() for which in ("0_15", "15_30"))
    first, second = put(data, tmp_path, f"results_0_15{one}"), put(data, tmp_path, f"results_0_15{other}")
    assert bloxdb.import_release(tmp_path, empty_db).files == [first]
    put(others, tmp_path, second.name)
    told = f"{re.escape(str(first))} and {second.name} are packings of one file, but differ"
    with pytest.raises(bloxdb.ReleaseError, match=told):
        bloxdb.import_release(tmp_path, empty_db)
    second.write_bytes(second.read_bytes()[:-20])
    with pytest.raises(bloxdb.ReleaseError, match="one is damaged"):
        bloxdb.import_release(tmp_path, empty_db)


@pytest.mark.parametrize("ending", RESULTS[1:])
@pytest.mark.parametrize("cut", [0, 1, 4, -20])
def test_damaged_packings_of_training_results_are_told(
    cut: int, ending: str, golden: Path, tmp_path: Path, empty_db: Database
) -> None:
    path = put((golden / RAW / "results_0_15.pickle").read_bytes(), tmp_path, f"results_0_15{ending}")
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(bloxdb.BloxFormatError) as caught:
        bloxdb.import_release(tmp_path, empty_db)
    assert str(path) in str(caught.value)


def test_what_is_cut_off_within_a_packing_says_of_what_to_cut_more(
    golden: Path, tmp_path: Path, empty_db: Database
) -> None:
    data = (golden / RAW / "results_random.pickle").read_bytes()
    put(data[:-5], tmp_path, "results_random.pickle.gz")
    with pytest.raises(bloxdb.BloxFormatError, match="on an unpacked copy leaves them"):
        bloxdb.import_release(tmp_path, empty_db)


NEARLY = [
    ("results_0_15.pkl", "rename it to results_0_15.pickle if it is that"),
    ("Results_0_15.pickle", "rename it to results_0_15.pickle if it is that"),
    ("results-0-15.pickle", "rename it to results_0_15.pickle"),
    ("results_0_15 (1).pickle", "rename it to results_0_15.pickle"),
    ("results_0_15 - Copy.pickle", "rename it to results_0_15.pickle"),
    ("Copy of results_random.pickle", "it looks like another copy of results_random.pickle"),
    ("results_0_15.pickle.txt", "rename it to results_0_15.pickle"),
    ("results_0_15.pickle~", "rename it to results_0_15.pickle"),
    ("results_0_15.pkl.gz", "rename it to results_0_15.pickle.gz"),
    ("results_0_15.PICKLE.XZ", "rename it to results_0_15.pickle.xz"),
    ("results_0_15.pickle.part", "it is an unfinished download"),
    ("results_0_15.pickle.zip", "it is packed; unpack it"),
    ("results_0_15.pickle.bz2", "it is packed; unpack it"),
    ("results_random (2).pkl", "it looks like another copy of results_random.pickle"),
    ("combined.pickle", "name the file itself, with --recipe and --seed"),
    ("combined (1).pkl", "name the file itself"),
    ("results_combined.pickle.gz", "name the file itself"),
    ("results.pickle", "training results are named results_FIRST_END.pickle or results_random.pickle"),
]


@pytest.mark.parametrize(("name", "told"), NEARLY)
def test_what_looks_like_training_results_is_named(
    name: str, told: str, golden: Path, tmp_path: Path, empty_db: Database
) -> None:
    shutil.copy(golden / RAW / "results_random.pickle", tmp_path)
    put((golden / RAW / "results_0_15.pickle").read_bytes(), tmp_path, name)
    (note,) = [note for note in bloxdb.import_release(tmp_path, empty_db).notes if "is not taken" in note]
    assert note.startswith(f"{name} is not taken: ")
    assert told in note
    done = command("import", tmp_path, "--db", empty_db.path)
    assert f"note: {note}" in done.stderr
    (tmp_path / "results_random.pickle").unlink()  # alone, it is told by the error
    with pytest.raises(bloxdb.ReleaseError) as caught:
        bloxdb.import_release(tmp_path, empty_db)
    assert f"{name} is not taken: " in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        *("results_0_15.png", "results_0_15.pickle.md5", ".results_0_15.pickle.swp", "results.csv"),
        *(
            "myresults_0_15.pickle",
            "results_random.md",
            "recombined.pickle",
            "model.pickle",
            "results_0_15.p.py",
        ),
    ],
)
def test_other_files_beside_training_results_are_nobodys_business(
    name: str, golden: Path, tmp_path: Path, empty_db: Database
) -> None:
    shutil.copy(golden / RAW / "results_0_15.pickle", tmp_path)
    put((golden / RAW / "results_15_30.pickle").read_bytes(), tmp_path, name)
    notes = bloxdb.import_release(tmp_path, empty_db).notes
    assert not [note for note in notes if "is not taken" in note]


def test_whoever_reads_no_training_results_does_not_speak_of_them(folder: Path, golden: Path) -> None:
    shutil.copy(golden / RAW / "results_0_15.pickle", folder / "results_0_15.pkl")
    from_folder(folder)  # a warning would be an error here
    assert "results" not in command("verify", folder).stderr
