"""The PC/SC service of Linux, for diagnostics: where it is and whether it answers; other systems have one of theirs."""

import os
import socket
import sys

__all__ = ["PCSCD_SOCKET", "pcscd_answers", "pcscd_place"]

PCSCD_SOCKET = "/run/pcscd/pcscd.comm"
"""pcsc-lite's fixed place; clients may be sent elsewhere."""


def pcscd_place() -> str:
    """The path of its socket for this process."""
    return os.environ.get("PCSCLITE_CSOCK_NAME", PCSCD_SOCKET)


if sys.platform == "linux":

    def pcscd_answers() -> bool | None:
        """True if it accepts a connection; None on systems that have no pcscd of this kind."""
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(pcscd_place()) == 0

else:

    def pcscd_answers() -> bool | None:
        """None: this system has no pcscd of this kind."""
        return None
