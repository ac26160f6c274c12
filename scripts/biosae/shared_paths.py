"""Which paths compute nodes cannot see, as far as the machine that submits jobs can know."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
IN_MEMORY = frozenset({"tmpfs", "ramfs", "devtmpfs"})  # no other machine can mount these
LOCAL_DISKS = frozenset(
    {
        "ext2",
        "ext3",
        "ext4",
        "xfs",
        "btrfs",
        "zfs",
        "f2fs",
        "jfs",
        "vfat",
        "exfat",
        "ntfs3",
        "overlay",
        "squashfs",
    }
)
# by convention each machine has its own, whatever they are made of
OWN_FOLDERS = tuple(Path(name) for name in ("/tmp", "/var/tmp", "/run", "/var/run", "/dev/shm"))


@dataclass(frozen=True)
class Mount:
    """One mounted file system."""

    point: Path
    kind: str


def parse_mounts(text: str) -> list[Mount]:
    """Mounts of Linux's ``/proc/self/mountinfo``, in the order in which they cover each other."""
    mounts = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        if after:
            # spaces and the like are written as octal numbers
            point = (
                before.split()[4]
                .encode()
                .decode("unicode_escape")
                .encode("latin-1")
                .decode(errors="surrogateescape")
            )
            mounts.append(Mount(Path(point), after.split()[0]))
    return mounts


def mount_of(path: Path, mounts: list[Mount]) -> Mount | None:
    """The file system that an absolute path, its links followed, lies on."""
    found = None
    for mount in mounts:
        if path.is_relative_to(mount.point) and (
            found is None or len(mount.point.parts) >= len(found.point.parts)
        ):
            found = mount
    return found


def unshared(paths: Mapping[str, str | Path], mounts: list[Mount]) -> tuple[list[str], list[str]]:
    """What compute nodes on other machines do not see, for certain, and what they may not see.

    Args:
        paths: by what they are to the user; relative ones are taken from the working folder.

    Returns:
        One sentence a file system of each sort.
    """
    certain: dict[str, list[str]] = {}
    perhaps: dict[str, list[str]] = {}
    for label, given in paths.items():
        path = Path(os.path.realpath(given))
        mount = mount_of(path, mounts)
        own = next((folder for folder in OWN_FOLDERS if path.is_relative_to(folder)), None)
        if mount and mount.kind in IN_MEMORY:
            reason, sort = f"{mount.point} is in the memory of this machine ({mount.kind})", certain
        elif own and (mount is None or mount.kind in LOCAL_DISKS):
            reason, sort = f"each machine has its own {own}", perhaps
        elif mount and mount.kind in LOCAL_DISKS:
            reason, sort = f"{mount.point} is a disk of this machine ({mount.kind})", perhaps
        else:
            continue
        sort.setdefault(reason, []).append(f"{label} ({path})")
    return _sentences(certain), _sentences(perhaps)


def _sentences(reasons: dict[str, list[str]]) -> list[str]:
    return [f"{reason}: {', '.join(paths)}" for reason, paths in reasons.items()]


def read_mounts() -> list[Mount]:
    """This machine's mounts; none where it is not Linux."""
    return parse_mounts(MOUNTS.read_text()) if MOUNTS.exists() else []
