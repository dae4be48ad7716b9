"""What a file system can do for a database that several processes write.

SQLite's WAL needs memory that all who have the file open share, which machines do not have, and its locks are
no better than those of the disk. So on a disk that machines share no WAL is ever switched on, whoever writes
is told what to do instead, and no worker starts beside one of another machine; where a program of somebody's
is the file system, there is a warning.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bloxdb.counts import word_for
from bloxdb.errors import DatabaseError

MOUNTS = Path("/proc/self/mountinfo")
"""Where Linux tells what is mounted where: https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html"""

SHARED = {
    **dict.fromkeys(("nfs", "nfs4"), "NFS"),
    **dict.fromkeys(("cifs", "smb", "smb2", "smb3", "smbfs"), "SMB"),
    **dict.fromkeys(("lustre", "lustre_lite"), "Lustre"),
    **dict.fromkeys(("gpfs", "mmfs"), "GPFS"),
    **dict.fromkeys(("beegfs", "beegfs_nodev", "fhgfs"), "BeeGFS"),
    **{"afs": "AFS", "ceph": "CephFS", "glusterfs": "GlusterFS", "fuse.glusterfs": "GlusterFS"},
    **{"fuse.sshfs": "SSHFS", "fuse.ceph": "CephFS", "fuse.ceph-fuse": "CephFS", "panfs": "PanFS"},
    **{"ocfs2": "OCFS2", "gfs2": "GFS2", "pvfs2": "OrangeFS", "webdav": "WebDAV", "fuse.davfs": "WebDAV"},
    **{
        "fuse.s3fs": "S3",
        "fuse.rclone": "rclone",
        "ncpfs": "NetWare",
        "wekafs": "Weka",
        "orangefs": "OrangeFS",
    },
}
"""File systems that several machines have at once, by the names that Linux has for them."""

_UNKNOWN = ("9p", "fuse", "fuseblk", "virtiofs")  # and all that begin with "fuse."
_ESCAPE = re.compile(rb"\\([0-7]{3})")
_ENOUGH = 10  # fields of a line
_TOLD = 3  # workers that are named


_ONE = "where SQLite's locks cannot be relied on: only one machine may write it"
_INSTEAD = (
    "For several workers use PostgreSQL (--db postgresql://HOST/NAME), or a file on each machine's own disk, "
    "and bring them together with `bloxdb merge`"
)


@dataclass(frozen=True)
class Disk:
    """Where a file is.

    Attributes
    ----------
    kind
        The file system, as Linux calls it; empty where that is not known.
    """

    kind: str = ""

    @property
    def shared(self) -> str | None:
        """What people call the file system, where several machines may have it; else None."""
        return SHARED.get(self.kind)

    @property
    def is_unknown(self) -> bool:
        """Whether a program of somebody's is the file system, which may have no locks, or be a network."""
        return self.shared is None and (self.kind in _UNKNOWN or self.kind.startswith("fuse."))

    @property
    def takes_wal(self) -> bool:
        """Whether a WAL may be switched on."""
        return self.shared is None


def mounted(mountinfo: bytes) -> dict[Path, str]:
    """Where file systems are mounted, and which; of two at one place the later one.

    Parameters
    ----------
    mountinfo
        What the system tells: a line a mount, with its place in the fifth field and its file system in the
        first after a hyphen.

    Examples
    --------
    >>> mounted(b"31 25 0:28 / /my\\\\040disk rw shared:7 - nfs4 host:/x rw")
    {PosixPath('/my disk'): 'nfs4'}
    """
    found = {}
    for line in mountinfo.splitlines():
        fields, hyphen, more = line.partition(b" - ")
        words = fields.split(b" ")
        if not hyphen or len(words) + len(more.split(b" ")) < _ENOUGH - 1 or not more.split(b" ")[0]:
            continue  # no line of this form: nothing is known from it
        place = _ESCAPE.sub(lambda match: bytes([int(match[1], 8) & 0xFF]), words[4])
        found[Path(place.decode(errors="surrogateescape"))] = (
            more.split(b" ")[0].decode(errors="replace").lower()
        )
    return found


def disk_in(mounts: dict[Path, str], path: Path) -> Disk:
    """The disk of a file, or of one that is to be made, whose folders are no links.

    Parameters
    ----------
    mounts
        What is mounted where.
    path
        The file, as an absolute path.
    """
    for place in (path, *path.parents):
        if place in mounts:
            return Disk(mounts[place])
    return Disk()


def disk_of(path: Path) -> Disk:
    """The disk that a file is on; one of no kind where the system does not tell."""
    real = path.resolve()
    return _disk_at(real if real.is_file() and real.is_mount() else real.parent)


@cache
def is_mounted(real: Path) -> bool:
    """Whether a file, whose folders are no links, is mounted itself, and not only a folder that it is in."""
    try:
        return real in mounted(MOUNTS.read_bytes())
    except OSError:  # no Linux
        return False


@cache
def _disk_at(folder: Path) -> Disk:
    """The disk of a folder, asked once: what is mounted under an open database does not change."""
    if not sys.platform.startswith("linux"):
        return Disk()
    try:
        return disk_in(mounted(MOUNTS.read_bytes()), folder)
    except OSError:
        return Disk()


def warning_for(path: Path, disk: Disk) -> str | None:
    """What somebody who writes a file should know of its disk; None where it is like any other."""
    if disk.shared is not None:
        return f"{path} is on {disk.shared}, {_ONE}. {_INSTEAD}"
    if disk.is_unknown:
        return (
            f"{path} is on {disk.kind}, a file system that may have no locks: let only one process write it, "
            "or choose a disk of this machine"
        )
    return None


def check_alone(path: Path, others: Sequence[str], *, dead_after: float = 0.0) -> None:
    """Refuse a worker on a disk that machines share beside one of another machine, before rows are lost.

    Parameters
    ----------
    path
        The file that it is to write.
    others
        Those that write it on another machine.
    dead_after
        Seconds without a sign of life after which those count as dead.

    Raises
    ------
    DatabaseError
        There are others, on such a disk.
    """
    kind = disk_of(path).shared
    if kind is None or not others:
        return
    more = f" and {len(others) - _TOLD:,} more" if len(others) > _TOLD else ""
    who = f"{', '.join(others[:_TOLD])}{more} {word_for(len(others), 'trains', 'train')} into it elsewhere"
    raise DatabaseError(
        f"{path} is on {kind}, {_ONE}, and {who}. Whoever was killed counts as dead after {dead_after:g} s "
        "without a sign of life (`--dead-after`): wait so long, and the same command goes on, as where a job "
        f"was requeued. {_INSTEAD}"
    )
