"""Which file system a folder lies on, and whether the kernel tells of changes there."""

from __future__ import annotations

import os
import re
from pathlib import Path

MOUNTINFO = Path("/proc/self/mountinfo")

POLLED_FILESYSTEMS = frozenset(
    {
        "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "afs", "ceph", "lustre", "gpfs", "beegfs",
        "ocfs2", "gfs2", "davfs", "coda", "ncpfs", "vboxsf", "vmhgfs", "prl_fs", "fuse",
    }
)  # fmt: skip
"""Here another machine, or another program, writes files behind this kernel's back: inotify stays silent."""


def filesystem_of(path: str, mountinfo: str) -> str:
    """Give the type of the file system that holds an absolute path with its links resolved; "" if unknown.

    `mountinfo` is the text of /proc/self/mountinfo (see proc_pid_mountinfo(5)): the mount point is field 5, with
    blanks written as \\040, and the type is the first field after the lone hyphen. Of two mounts on one point
    the later hides the earlier.
    """
    best, kind = -1, ""
    for line in mountinfo.splitlines():
        fields = line.split(" ")
        if len(fields) < 7 or "-" not in fields[6:-1]:
            continue
        point = _unescaped(fields[4]).rstrip("/")
        if len(point) >= best and (path + "/").startswith(point + "/"):
            best, kind = len(point), fields[fields.index("-", 6) + 1]
    return kind


def needs_polling(filesystem: str) -> bool:
    """Say whether inotify cannot be trusted here.

    Everything under FUSE is polled (sshfs, rclone, mergerfs) except `fuseblk`: a local disk (ntfs-3g, exfat), which
    only this machine writes.
    """
    return filesystem in POLLED_FILESYSTEMS or filesystem.startswith("fuse.")


def attribute_cache_s(filesystem: str) -> float:
    """Give the seconds for which a mount may go on showing the old size and mtime of a file that grows.

    Defaults of nfs(5) (acregmin), mount.cifs(8) (actimeo) and sshfs(1) (dcache_stat_timeout). A mount with longer times
    needs a longer settle time.
    """
    return {"nfs": 3.0, "nfs4": 3.0, "fuse.sshfs": 20.0}.get(filesystem, 1.0 if needs_polling(filesystem) else 0.0)


def filesystem_here(folder: str, follow: bool = True) -> str:
    """Give the type of the file system of a folder of this machine; "" where there is no /proc.

    Without `follow` links are taken for folders, and a mount that hangs is not asked for anything.
    """
    try:
        real = os.path.realpath(folder) if follow else str(Path(folder).absolute())
        return filesystem_of(real, MOUNTINFO.read_text(errors="surrogateescape"))
    except OSError:
        return ""


def _unescaped(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), field)
