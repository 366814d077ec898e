"""Folders on disks of a few MB (tmpfs), which a file of ballast fills to the last byte. Linux only.

Mounting needs root, or a kernel that lets users make a namespace of their own. The mounts are seen by this process and its
children alone, and are gone with the last of them.
"""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000  # <sched.h>
MS_REC, MS_PRIVATE, MNT_DETACH = 0x4000, 0x40000, 2  # <sys/mount.h>
BALLAST = "ballast"
PIECE = 1 << 20


class CannotMount(Exception):
    """The message says what would be needed."""


def private_mounts() -> None:
    """From now on this process and its children see mounts of their own. It must not have started a thread yet.

    Raises CannotMount.
    """
    uid, gid = os.geteuid(), os.getegid()
    flags = CLONE_NEWNS if uid == 0 else CLONE_NEWNS | CLONE_NEWUSER
    try:
        called("unshare", flags)
        if uid != 0:
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
            Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
        called("mount", None, b"/", None, MS_REC | MS_PRIVATE, None)
    except OSError as error:
        raise CannotMount(
            f"a small disk cannot be mounted here ({error}): run this as root, or where users may make namespaces "
            "(sysctl kernel.unprivileged_userns_clone=1), or leave it out: --only processes,restarts"
        ) from error


def called(name: str, *arguments: object) -> None:
    """A function of the C library that returns 0; raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@dataclass(frozen=True, slots=True)
class SmallDisk:
    folder: Path

    def fill(self) -> None:
        """Take everything that is left, again and again if somebody gives something back meanwhile."""
        with (self.folder / BALLAST).open("ab", buffering=0) as ballast:
            for size in (PIECE, 4096, 1):
                try:
                    while ballast.write(bytes(size)) == size:
                        pass
                except OSError:  # it is full, by pieces of this size
                    continue

    def empty(self) -> None:
        (self.folder / BALLAST).unlink(missing_ok=True)

    def free_bytes(self) -> int:
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize


@contextmanager
def small_disk(folder: Path, *, megabytes: int) -> Iterator[SmallDisk]:
    """Mounted at the folder, which is made. Raises CannotMount."""
    folder.mkdir()
    options = f"size={megabytes}m,mode=0755".encode()
    try:
        called("mount", b"tmpfs", os.fsencode(folder), b"tmpfs", 0, options)
    except OSError as error:
        raise CannotMount(f"a disk of {megabytes} MB cannot be mounted at {folder}: {error}") from error
    try:
        yield SmallDisk(folder)
    finally:
        called("umount2", os.fsencode(folder), MNT_DETACH)
