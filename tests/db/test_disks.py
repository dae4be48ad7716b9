"""Disks: which of them machines share, and that no WAL is ever switched on there."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

import bloxdb
from bloxdb.db import access, disks
from bloxdb.db.access import check_version
from bloxdb.db.disks import SHARED, Disk, disk_in, disk_of, mounted, warning_for
from bloxdb.db.names import beside

LINES = rb"""22 27 0:21 / /proc rw,relatime - proc proc rw
1 0 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
31 1 0:28 / /my\040disk rw,relatime shared:7 master:3 propagate_from:2 - nfs4 host:/x rw,vers=4.2
32 31 0:29 / /my\040disk/local rw - xfs /dev/sdb rw
33 1 0:30 /a /scratch rw - lustre 10.0.0.1@tcp:/s rw
34 1 0:31 / /twice rw - ext4 /dev/sdc rw
35 1 0:32 / /twice rw - cifs //server/share rw
36 1 0:33 / /code rw,nosuid - fuse.somebody somebody rw
37 1 0:34 / /odd\134name\011x rw - beegfs b rw
38 1 0:35 / /home rw -  rw
nothing of the kind
39 1 0:36 / /vm rw - 9p share rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/blox.db", "ext4"),
        ("/my disk/a/blox.db", "nfs4"),
        ("/my disks/blox.db", "ext4"),
        ("/my disk/local/blox.db", "xfs"),
        ("/scratch/u/blox.db", "lustre"),
        ("/twice/blox.db", "cifs"),
        ("/code/x", "fuse.somebody"),
        ("/odd\\name\tx/blox.db", "beegfs"),
        ("/home/blox.db", "ext4"),
        ("/vm/blox.db", "9p"),
        ("/proc/1", "proc"),
    ],
)
def test_the_disk_of_a_file_is_that_of_the_nearest_mount(path: str, kind: str) -> None:
    assert disk_in(mounted(LINES), Path(path)) == Disk(kind)


@pytest.mark.parametrize("text", [b"", b"\n", b"x - y", b"1 2 3 4 5 - nfs", b"\xff\xfe - \x00", LINES[:100]])
def test_what_is_no_list_of_mounts_tells_nothing_wrong(text: bytes) -> None:
    assert disk_in(mounted(text), Path("/a/b")).shared is None


@pytest.mark.parametrize(
    "kind", [*SHARED, "ext4", "xfs", "tmpfs", "overlay", "zfs", "", "9p", "fuse.x", "fuseblk"]
)
def test_each_kind_of_disk_has_its_rule(kind: str) -> None:
    disk = Disk(kind)
    said = warning_for(Path("/d/blox.db"), disk)
    if kind in SHARED:
        assert not disk.takes_wal
        assert said is not None
        assert f"/d/blox.db is on {SHARED[kind]}, " in said
        assert "PostgreSQL" in said
        assert "`bloxdb merge`" in said
    else:
        assert disk.takes_wal
        assert (said is not None) == disk.is_unknown == (kind.startswith(("9p", "fuse")))
    for network in ("NFS", "SMB", "Lustre", "GPFS", "BeeGFS"):
        assert network in SHARED.values()


def test_the_disk_of_a_link_is_that_of_its_target(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to("/proc/self/status")
    if sys.platform.startswith("linux"):
        assert disk_of(tmp_path / "link.db").kind == "proc"
        assert disk_of(tmp_path / "none" / "x.db") == disk_of(tmp_path / "x.db") != Disk()


@pytest.fixture
def pretend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Have the system say that the folder of a test is another file system."""
    table = tmp_path / "mountinfo"

    def is_a(kind: str) -> None:
        table.write_text(f"1 0 8:1 / {tmp_path} rw - {kind} x rw\n")
        disks._disk_at.cache_clear()

    monkeypatch.setattr(disks, "MOUNTS", table)
    yield is_a
    disks._disk_at.cache_clear()


LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells what is mounted")


@LINUX
@pytest.mark.parametrize("kind", ["nfs4", "lustre"])
@pytest.mark.parametrize("was_wal", [False, True])
def test_no_wal_is_switched_on_where_machines_share_the_disk(
    pretend: Callable[[str], None], empty_file: Path, tmp_path: Path, kind: str, was_wal: bool
) -> None:
    path = Path(shutil.copy(empty_file, tmp_path / "blox.db"))
    if was_wal:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
    pretend(kind)
    with pytest.warns(UserWarning, match="where SQLite's locks cannot be relied on"):
        db = bloxdb.open(path, current=False)
    with db:
        for number in range(2):
            with db.transaction() as session:
                session.execute(text(f"INSERT INTO devices (name) VALUES ('{number}')"))
                assert not beside(path, "-wal").exists()
                assert session.execute(text("PRAGMA synchronous")).scalar() == 3
            with db.snapshot() as session:
                assert session.execute(text("SELECT count(*) FROM devices")).scalar() == number + 1
                assert not beside(path, "-wal").exists()
        with db.bulk_transaction() as session:
            session.execute(text("INSERT INTO devices (name) VALUES ('bulk')"))
        assert db.rows("PRAGMA journal_mode") == [{"journal_mode": "delete"}]
        assert bloxdb.backup(tmp_path / "copy.db", db).bytes > 0


@LINUX
@pytest.mark.parametrize(("kind", "said"), [("9p", "may have no locks"), ("smb3", "is on SMB"), ("ext4", "")])
def test_who_writes_is_warned_and_who_reads_is_not(
    pretend: Callable[[str], None], empty_file: Path, tmp_path: Path, kind: str, said: str
) -> None:
    path = Path(shutil.copy(empty_file, tmp_path / "blox.db"))
    pretend(kind)
    bloxdb.open(path, read_only=True, current=False).close()
    if said:
        with pytest.warns(UserWarning, match=said) as told:
            bloxdb.open(path, current=False).close()
        assert told[0].filename == __file__
    else:
        bloxdb.open(path, current=False).close()


@LINUX
def test_commands_warn_in_a_line_of_their_own(empty_file: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(empty_file, tmp_path / "blox.db"))
    table = tmp_path / "mountinfo"
    table.write_text(f"1 0 8:1 / {tmp_path} rw - nfs x rw\n")
    code = (
        "import sys; from pathlib import Path; from bloxdb.db import disks; from bloxdb.cli import main;"
        f"disks.MOUNTS = Path({str(table)!r}); main(prog_name='bloxdb')"
    )
    words = [sys.executable, "-c", code, "retry", "--failed", "--db", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stderr.startswith(f"Warning: {path} is on NFS, where")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("found", [(3, 7, 17), (3, 31, 1), (3, 35, 4)])
def test_an_sqlite_that_is_too_old_is_told(found: tuple[int, ...]) -> None:
    there = ".".join(map(str, found))
    with pytest.raises(bloxdb.DatabaseError, match=rf"needs SQLite 3\.35\.5 or newer, .* has {there} here"):
        check_version(found)


def test_the_sqlite_of_these_tests_and_newer_ones_will_do() -> None:
    check_version()
    check_version(access.SQLITE_NEEDED)
    check_version((4, 0, 0))


def test_an_old_sqlite_is_told_before_a_file_is_opened(tmp_path: Path, empty_file: Path) -> None:
    code = (
        "import sqlite3; sqlite3.sqlite_version_info = (3, 31, 1); import bloxdb; "
        "bloxdb.open(__import__('sys').argv[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(empty_file)], capture_output=True, text=True, check=False
    )
    assert "bloxdb needs SQLite 3.35.5 or newer" in done.stderr.splitlines()[-1]
