"""On which file systems the kernel says nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auroramon.sources.mounts import attribute_cache_s, filesystem_here, filesystem_of, needs_polling

# As /proc/self/mountinfo shows them, including optional fields and an escaped blank.
MOUNTS = r"""22 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw
30 22 0:44 / /mnt/archive rw,relatime shared:200 master:3 - nfs4 nas:/export rw,vers=4.2,addr=10.0.0.2
31 30 8:17 / /mnt/archive/local rw,relatime - xfs /dev/sdb1 rw
32 22 0:50 / /mnt/all\040sky rw,nosuid - cifs //nas/sky rw,vers=3.0
33 22 0:51 / /home/pi/remote rw - fuse.sshfs pi@camera:/images rw,user_id=0
34 22 8:33 / /media/usb rw - fuseblk /dev/sdc1 rw
35 22 0:52 / /host rw - 9p hgfs rw,trans=virtio
36 22 0:53 / /srv/hidden rw - ext4 /dev/sdd1 rw
37 36 0:54 / /srv/hidden rw - nfs nas:/other rw
"""


@pytest.mark.parametrize(
    ("path", "filesystem", "polled"),
    [
        ("/", "ext4", False),
        ("/var/lib/frames", "ext4", False),
        ("/mnt/archive", "nfs4", True),
        ("/mnt/archive/2024/03", "nfs4", True),
        ("/mnt/archives", "ext4", False),
        ("/mnt/archive/local/2024", "xfs", False),
        ("/mnt/all sky/frames", "cifs", True),
        ("/home/pi/remote/x", "fuse.sshfs", True),
        ("/media/usb/frames", "fuseblk", False),
        ("/host/frames", "9p", True),
        ("/srv/hidden/frames", "nfs", True),
    ],
)
def test_the_deepest_and_last_mount_decides(path: str, filesystem: str, polled: bool) -> None:
    assert filesystem_of(path, MOUNTS) == filesystem
    assert needs_polling(filesystem) is polled


@given(st.text(), st.text(alphabet=" -/\n\\0147ab"))
def test_no_text_breaks_it(path: str, mountinfo: str) -> None:
    assert isinstance(filesystem_of(path, mountinfo), str)


def test_a_mount_that_shows_old_sizes_needs_more_patience() -> None:
    assert attribute_cache_s("ext4") == 0
    assert attribute_cache_s("cifs") == 1
    assert attribute_cache_s("nfs4") == 3
    assert attribute_cache_s("fuse.sshfs") == 20


def test_this_machine_is_understood(tmp_path: Path) -> None:
    assert filesystem_here(str(tmp_path)) != ""
    assert filesystem_here("/proc/self") == "proc"
