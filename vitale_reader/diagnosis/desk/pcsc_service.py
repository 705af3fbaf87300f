"""The PC/SC service of Linux, by its socket: whether it answers, and who runs it.

Whether the service lets this user in is told by the driver ``pcsc``, which asks it. Other systems have their own.
"""

import socket
import struct
import sys
from collections.abc import Iterator

from vitale_protocol.diagnosis.check_results import CheckResult
from vitale_reader.diagnosis.machine import InspectedMachine, owner_of

__all__ = ["look"]

#: pcsc-lite's fixed place; ``PCSCLITE_CSOCK_NAME`` sends clients elsewhere.
SOCKET = "/run/pcscd/pcscd.comm"

#: Seconds to be let in by a service that is busy.
LIMIT = 1.0

_CREDENTIALS = struct.Struct("3i")


def look(machine: InspectedMachine, *, needed: bool) -> Iterator[CheckResult]:
    """Looks at the service.

    Args:
        machine: the one that is looked at.
        needed: whether the configuration needs it; the driver tells then what is wrong with it.
    """
    if machine.system != "linux":
        return
    place = machine.environ.get("PCSCLITE_CSOCK_NAME") or str(machine.at(SOCKET))
    pid = _listener(place)
    if pid is not None:
        yield _answers(machine, place, pid)
    elif not needed:
        yield CheckResult(id="pcsc_silent", subject="pcsc", state="note", values={"place": place})


if sys.platform == "win32":

    def _listener(place: str) -> int | None:  # noqa: ARG001
        """None: there is no such socket."""
        return None

else:

    def _listener(place: str) -> int | None:
        """The process that made the socket, 0 where that is not told; None where nobody answers."""
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(LIMIT)
            try:
                if probe.connect_ex(place) != 0:
                    return None
                # Linux, unix(7): SO_PEERCRED; with socket activation it is the process of systemd.
                told = probe.getsockopt(socket.SOL_SOCKET, getattr(socket, "SO_PEERCRED", 0), _CREDENTIALS.size)
                return int(_CREDENTIALS.unpack(told)[0])
            except (OSError, ValueError):  # a path that is none of a socket
                return None


def _answers(machine: InspectedMachine, place: str, pid: int) -> CheckResult:
    values = {"place": place, "pid": pid}
    owner = owner_of(machine.at(f"/proc/{pid}")) if pid else ""
    if not owner:
        return CheckResult(id="pcsc_answers", subject="pcsc", state="ok", values=values)
    return CheckResult(id="pcsc_run_by", subject="pcsc", state="ok", values=values | {"user": owner})
