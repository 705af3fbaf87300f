"""The confinement of a worker, before the driver is loaded.

What reads strangers' bytes gives up what it does not need:

- No new privileges, and no core dumps. Nobody of the same user may look into its memory (prctl(2)).
- Landlock is used where the Linux kernel has it (landlock(7)). Files are then read only, but for devices and temporary
  files. The daemon's own are not even read. Processes outside are neither sent signals nor traced.

Landlock only knows what is allowed. To leave something out, all that lies beside it is allowed, at each level above it.
What is made later in those very folders is out of reach; where an option names it, ``Reach`` tells.

Landlock says nothing of connecting to a Unix socket. The daemon itself refuses processes that it started.
"""

import contextlib
import ctypes
import functools
import logging
import os
import stat
import struct
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from vitale_drivers.host.reach import Reach

__all__ = ["COMPLETE", "confine", "landlock_version", "undumpable", "without_core_dumps"]

logger = logging.getLogger(__name__)

# include/uapi/linux/prctl.h
PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38

# include/uapi/linux/capability.h: what lets a worker of an administrator's daemon undo its confinement.
CAPABILITIES_VERSION = 0x20080522
DROPPED = sum(
    1 << one
    for one in (
        5,  # kill
        6,  # setgid
        7,  # setuid
        16,  # sys_module
        17,  # sys_rawio
        19,  # sys_ptrace
        21,  # sys_admin
        38,  # perfmon: reads the environment of other processes
        39,  # bpf
        40,  # checkpoint_restore
    )
)

# The numbers of the system calls are the same on all architectures: include/uapi/asm-generic/unistd.h.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446

#: The version of Landlock from which on signals are confined as well (Linux 6.12).
COMPLETE = 6

# include/uapi/linux/landlock.h
VERSION_FLAG = 1
PATH_BENEATH = 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
CHANGE_FOLDERS = sum(1 << bit for bit in range(4, 13))
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
SCOPES = 0b11  # abstract Unix sockets, signals

RULESET = struct.Struct("=QQQ")
BENEATH = struct.Struct("=Qi")

READ = EXECUTE | READ_FILE
WRITE = READ | READ_DIR | WRITE_FILE | CHANGE_FOLDERS | REFER | TRUNCATE | IOCTL_DEV
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV

#: Where devices are, and the locks on serial ports. Temporary files are a worker's own, where ``TMPDIR`` says.
WRITABLE = ("/dev", "/run/lock", "/var/lock")


def landlock_version() -> int:
    """The version of Landlock that the kernel offers; 0 where there is none."""
    return max(_call(CREATE_RULESET, None, 0, VERSION_FLAG), 0)


if sys.platform == "win32":

    def without_core_dumps() -> None:
        """Nothing: a crash leaves nothing behind here unless an administrator asks for it."""

else:
    import resource

    def without_core_dumps() -> None:
        """A crash of this process leaves no image of its memory behind."""
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def undumpable() -> None:
    """Nobody but an administrator may trace this process, or read its memory and environment through /proc."""
    _prctl(PR_SET_DUMPABLE, 0)


def confine(hidden: Iterable[str], named: Iterable[str] = ()) -> Reach | None:
    """Confines this process and all that it starts, for ever.

    Returns what it can open, or None if files are not confined.

    Args:
        hidden: files and folders of the daemon.
        named: paths that the driver's options name.
    """
    without_core_dumps()
    return _confine(hidden, named)


if sys.platform == "linux":

    def _confine(hidden: Iterable[str], named: Iterable[str]) -> Reach | None:
        undumpable()
        _prctl(PR_SET_NO_NEW_PRIVS, 1)
        _drop_capabilities()
        version = landlock_version()
        if not version:
            return None
        kept_out = tuple(Path(os.path.realpath(each)) for each in hidden)
        reach = Reach(named, kept_out)
        handled = _known(READ | WRITE, version)
        attributes = RULESET.pack(handled, 0, SCOPES)
        # The structure grew: before version 6 it has no scopes, before 4 nothing of the network.
        ruleset = _call(CREATE_RULESET, attributes, 24 if version >= COMPLETE else 16 if version >= 4 else 8, 0)
        if ruleset < 0:
            return None
        try:
            for place, rights in _places(kept_out, map(str, reach.devices)).items():
                _allow(ruleset, reach, place, rights & handled)
            return reach if _call(RESTRICT_SELF, ruleset, 0) == 0 else None
        finally:
            os.close(ruleset)

    # Beside the daemon's own may lie thousands of temporary files of others: paths stay texts, and each has one rule.

    def _places(kept_out: tuple[Path, ...], devices: Iterable[str]) -> dict[str, int]:
        """The places that are allowed, and the rights there."""
        places = {"/": READ_DIR}
        for root, rights in (("/", READ), *((each, WRITE) for each in (*WRITABLE, tempfile.gettempdir()))):
            for place in _beside(os.path.realpath(root), tuple(map(str, kept_out))):
                places[place] = places.get(place, 0) | rights
        for device in devices:
            places[device] = places.get(device, 0) | WRITE
        return places

    def _beside(root: str, kept_out: tuple[str, ...]) -> Iterator[str]:
        """Yields what lies under a root without what is kept out, in as few places as can be."""
        above = f"{root.rstrip('/')}/"
        if any(above.startswith(f"{each.rstrip('/')}/") for each in kept_out):
            return
        ways = {each.removeprefix(above).partition("/")[0] for each in kept_out if each.startswith(above)}
        if not ways:
            yield root
            return
        with contextlib.suppress(OSError):
            for entry in os.scandir(root):
                if entry.is_symlink():
                    continue
                if entry.name in ways:
                    yield from _beside(entry.path, kept_out)
                else:
                    yield entry.path

    def _allow(ruleset: int, reach: Reach, place: str, rights: int) -> None:
        try:
            descriptor = os.open(place, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:  # gone, or not for this user
            return
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISDIR(status.st_mode):
                rights &= OF_FILES
            if _call(ADD_RULE, ruleset, PATH_BENEATH, BENEATH.pack(rights, descriptor), 0) == 0:
                reach.allow(status, read=bool(rights & READ_FILE), write=bool(rights & WRITE_FILE))
        finally:
            os.close(descriptor)

    def _known(rights: int, version: int) -> int:
        """The rights that a version of Landlock knows of."""
        for right, since in ((REFER, 2), (TRUNCATE, 3), (IOCTL_DEV, 5)):
            if version < since:
                rights &= ~right
        return rights

    def _drop_capabilities() -> None:
        """Drops what a person's process does not have; only an administrator's changes."""
        library = _library()
        header = struct.pack("=Ii", CAPABILITIES_VERSION, 0)
        held = ctypes.create_string_buffer(24)
        if library.capget(header, held):
            return
        # Effective, permitted and inheritable, their lower halves first.
        words = struct.unpack("=6I", held.raw)
        kept = [word & ~(DROPPED >> (32 * (index // 3)) & 0xFFFFFFFF) for index, word in enumerate(words)]
        if tuple(kept) != words and library.capset(header, struct.pack("=6I", *kept)):
            logger.warning("capset is refused: %s", os.strerror(ctypes.get_errno()))

    def _prctl(option: int, value: int) -> None:
        if _library().prctl(option, value, 0, 0, 0):
            logger.warning("prctl %d is refused: %s", option, os.strerror(ctypes.get_errno()))

    def _call(number: int, *arguments: int | bytes | None) -> int:
        """A system call that the C library has no function for; -1 where it is refused."""
        converted = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
        return int(_library().syscall(ctypes.c_long(number), *converted))

    @functools.cache
    def _library() -> ctypes.CDLL:
        """The C library; each time that it is opened, Python makes a class for its functions."""
        return ctypes.CDLL(None, use_errno=True)

else:

    def _confine(hidden: Iterable[str], named: Iterable[str]) -> Reach | None:  # noqa: ARG001
        return None

    def _prctl(option: int, value: int) -> None:
        """Nothing: only Linux has it."""

    def _call(number: int, *arguments: int | bytes | None) -> int:  # noqa: ARG001
        return -1
