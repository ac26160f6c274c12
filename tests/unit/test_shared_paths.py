"""Which paths other machines cannot see, by a literal table of mounts."""

from pathlib import Path

import pytest

from biosae.shared_paths import mount_of, parse_mounts, read_mounts, unshared

TABLE = """\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
25 24 0:23 / /dev/shm rw,relatime - tmpfs tmpfs rw,size=24684096k
40 27 0:50 / /home rw,relatime shared:7 - nfs4 server:/home rw,vers=4.2
41 27 0:51 / /scratch rw,relatime - lustre mds@tcp:/scratch rw
42 41 0:52 / /scratch/ram\\040disk rw,relatime - tmpfs tmpfs rw
43 40 0:53 / /home rw,relatime - beegfs beegfs_nodev rw
"""
MOUNTS = parse_mounts(TABLE)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/opt/x", "ext4"),
        ("/dev/shm/x", "tmpfs"),
        ("/scratch/me", "lustre"),
        ("/scratch/ram disk/me", "tmpfs"),
        ("/scratchy", "ext4"),
        ("/home/me", "beegfs"),  # mounted over the other
    ],
)
def test_the_file_system_of_a_path(path, kind):
    assert mount_of(Path(path), MOUNTS).kind == kind


def test_memory_is_certain_and_a_local_disk_is_a_guess():
    paths = {"results": "/dev/shm/r", "genome": "/data/g.fa", "checkout": "/scratch/c", "world": "/tmp/w"}
    certain, perhaps = unshared(paths, MOUNTS)
    assert certain == ["/dev/shm is in the memory of this machine (tmpfs): results (/dev/shm/r)"]
    assert perhaps == [
        "/ is a disk of this machine (ext4): genome (/data/g.fa)",
        "each machine has its own /tmp: world (/tmp/w)",
    ]


def test_paths_on_one_file_system_share_a_line():
    certain, _ = unshared({"a": "/dev/shm/a", "b": "/dev/shm/b"}, MOUNTS)
    assert certain == ["/dev/shm is in the memory of this machine (tmpfs): a (/dev/shm/a), b (/dev/shm/b)"]


def test_links_are_followed(tmp_path):
    (tmp_path / "results").symlink_to("/dev/shm")
    certain, _ = unshared({"results": tmp_path / "results"}, MOUNTS)
    assert len(certain) == 1


def test_this_machine_has_mounts_if_it_is_linux():
    mounts = read_mounts()
    assert bool(mounts) == Path("/proc/self/mountinfo").exists()
    assert not mounts or mount_of(Path("/"), mounts) is not None
