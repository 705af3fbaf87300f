"""Tells why a port cannot be listened on, and who has it, where the platform tells without special rights."""

import contextlib
import errno
import sys
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path

from vitale_protocol.errors import ConfigurationInvalid

__all__ = ["cannot_listen", "holder", "is_taken"]

#: The state of a socket that listens, in ``/proc/net/tcp`` (include/net/tcp_states.h of Linux).
LISTENS = "0A"

PROC = Path("/proc")

if sys.platform == "win32":

    def is_taken(error: OSError) -> bool:
        """True if an address cannot be listened on because another program has it.

        A port that another has for itself alone, or that the system keeps back, is refused as forbidden (WSAEACCES).
        """
        return error.errno == errno.EADDRINUSE or isinstance(error, PermissionError)

else:

    def is_taken(error: OSError) -> bool:
        """True if an address cannot be listened on because another program has it."""
        return error.errno == errno.EADDRINUSE


if sys.platform == "linux":
    import pwd

    def holder(port: int, proc: Path = PROC) -> str:
        """The process that listens on a port, or its user where it cannot be seen; empty where nothing tells."""
        sockets = dict(_listening(port, proc))
        for folder in proc.glob("[0-9]*"):
            if found := _process(folder, sockets.keys()):
                return found
        users = {_user(uid) for uid in sockets.values()}
        return f"a process of user {', '.join(sorted(users))}" if users else ""

    def _user(uid: int) -> str:
        try:
            return pwd.getpwuid(uid).pw_name
        except KeyError:
            return str(uid)

else:

    def holder(port: int, proc: Path = PROC) -> str:  # noqa: ARG001
        """Empty: other systems tell it to administrators only."""
        return ""


def cannot_listen(where: str, port: int, error: OSError, *, setting: str, in_use: str) -> ConfigurationInvalid:
    """The error of an address that cannot be listened on.

    Args:
        where: the address, for the detail.
        port: its port.
        error: the system's own.
        setting: that names the port.
        in_use: the variant where another program has it; ``data.holder`` then says which.
    """
    told = f"cannot listen on {where}: {error.strerror or error}"
    if not is_taken(error):
        return ConfigurationInvalid(told, data={"path": setting})
    held_by = holder(port)
    return ConfigurationInvalid(
        f"{told}, by {held_by}" if held_by else told,
        variant=in_use,
        data={"path": setting, "port": port, "holder": held_by},
    )


def _listening(port: int, proc: Path) -> Iterator[tuple[str, int]]:
    """Each socket that listens on the port, as links in ``/proc`` name it, and the user it belongs to."""
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (proc / "net" / name).read_text(encoding="ascii").splitlines()[1:]:
                _, local, _, state, _, _, _, uid, _, inode, *_ = line.split()
                if state == LISTENS and int(local.rpartition(":")[2], 16) == port:
                    yield f"socket:[{inode}]", int(uid)


def _process(folder: Path, sockets: AbstractSet[str]) -> str:
    try:
        held = any(str(link.readlink()) in sockets for link in (folder / "fd").iterdir())
        return f"process {folder.name} ({(folder / 'comm').read_text(encoding='utf-8').strip()})" if held else ""
    except OSError:  # of another user, or ended a moment ago
        return ""
