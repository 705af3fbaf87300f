"""The user of the program at the other end of a loopback connection, by the kernel's word.

Linux: the socket of the other end is looked up by its two addresses (sock_diag(7)). Where the kernel has no such
answers, the table of all sockets is searched. A socket that no program holds any more has no user. A program may dial
an address of IPv4 through a socket of IPv6: it is the same program. Other systems do not tell.
"""

import errno
import os
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["is_other_user", "peer_uid"]

# An address and a port.
Address = tuple[str, int]

if sys.platform == "linux":
    # include/uapi/linux/netlink.h and sock_diag.h.
    NETLINK_SOCK_DIAG: Final = 4
    SOCK_DIAG_BY_FAMILY: Final = 20
    NLM_F_REQUEST: Final = 1

    _MAPPED: Final = "::ffff:"

    # struct nlmsghdr; struct inet_diag_req_v2 and inet_diag_msg of inet_diag.h, without their inet_diag_sockid.
    _HEADER: Final = struct.Struct("=IHHII")
    _REQUEST: Final = struct.Struct("=BBBxI")
    _ENDS: Final = struct.Struct("!HH16s16s")
    _ANYWHERE: Final = struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)
    _ANSWER: Final = struct.Struct("=BBBB48xIIIII")

    def peer_uid(connection: socket.socket) -> int | None:
        """The user of the program at the other end of a connection between two programs of this machine.

        Returns:
            None where no program is there (any more), or none of this machine.
        """
        here, there = _address(connection.getsockname()), _address(connection.getpeername())
        try:
            return _asked(connection.family, there, here)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return None
            return _listed(there, here)

    def is_other_user(uid: int | None) -> bool:
        """True if a peer is not of this process's own user."""
        return uid != os.getuid()

    def _asked(family: int, local: Address, remote: Address) -> int | None:
        ends = _packed(family, local, remote)
        body = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, 0xFFFFFFFF) + ends + _ANYWHERE
        header = _HEADER.pack(_HEADER.size + len(body), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 1, 0)
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as kernel:
            kernel.send(header + body)
            answer = kernel.recv(4_096)
        _, kind, _, _, _ = _HEADER.unpack_from(answer)
        if kind != SOCK_DIAG_BY_FAMILY:
            number = -struct.unpack_from("=i", answer, _HEADER.size)[0]
            raise OSError(number, os.strerror(number))
        *_, uid, inode = _ANSWER.unpack_from(answer, _HEADER.size)
        # Where it is gone, the kernel answers with the socket that listens on the port, if there is one.
        found = answer[_HEADER.size + 4 : _HEADER.size + 4 + _ENDS.size]
        is_it = found == ends or (family == socket.AF_INET and found == _mapped(local, remote))
        return int(uid) if inode and is_it else None

    def _packed(family: int, local: Address, remote: Address) -> bytes:
        return _ENDS.pack(local[1], remote[1], *(socket.inet_pton(family, host) for host, _ in (local, remote)))

    def _mapped(local: Address, remote: Address) -> bytes:
        """The ends of the same connection on an IPv6 socket (RFC 4291, section 2.5.5.2)."""
        (here, at), (there, to) = local, remote
        return _packed(socket.AF_INET6, (f"{_MAPPED}{here}", at), (f"{_MAPPED}{there}", to))

    def _listed(local: Address, remote: Address, proc: Path = Path("/proc/self/net")) -> int | None:
        for uid, inode, *ends in _table(proc):
            if ends == [local, remote] and inode:
                return uid
        return None

    def _table(proc: Path) -> Iterator[tuple[int, int, Address, Address]]:
        for name, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
            for line in (proc / name).read_text(encoding="ascii").splitlines()[1:]:
                _, local, remote, _, _, _, _, uid, _, inode, *_ = line.split()
                yield int(uid), int(inode), _of_table(local, family), _of_table(remote, family)

    def _of_table(text: str, family: int) -> Address:
        # proc(5): words of 32 bits, each in the byte order of the machine.
        host, port = text.split(":")
        words = (int(host[at : at + 8], 16) for at in range(0, len(host), 8))
        found = socket.inet_ntop(family, b"".join(struct.pack("=I", word) for word in words))
        return found.removeprefix(_MAPPED), int(port, 16)

    def _address(name: tuple[str, int] | tuple[str, int, int, int]) -> Address:
        return name[0], name[1]

else:

    def peer_uid(connection: socket.socket) -> int | None:  # noqa: ARG001
        """The user of the program at the other end, which this system does not tell."""
        return None

    def is_other_user(uid: int | None) -> bool:  # noqa: ARG001
        """False: nobody can be told from another here."""
        return False
