"""Programs that use PC/SC, as each system tells them; PC/SC itself names nobody who has a card.

Linux tells which programs have loaded the library. On Windows ``tasklist`` does, of the programs of this user. It also
tells whether the service CertPropSvc runs, which looks at each card that comes for certificates.
"""

import contextlib
import csv
import subprocess
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

from vitale_drivers.host.programs import system_program
from vitale_reader.daemon.workers.offspring import WITHOUT_WINDOW

__all__ = ["PROC", "name_of", "pcsc_users", "processes"]

PROC = Path("/proc")

LIBRARY = "libpcsclite"

#: Seconds for an answer of ``tasklist``, which takes one or two on an old machine.
LIMIT = 20.0

#: Services that use cards by themselves. Others in their processes are none of ours.
SERVICES = ("CertPropSvc",)


def processes(proc: Path, own: Collection[int]) -> Iterator[Path]:
    """The folders of processes in ``/proc``, without those that are not to be named."""
    with contextlib.suppress(OSError):  # there is nothing that could be asked
        for process in proc.iterdir():
            if process.name.isdecimal() and int(process.name) not in own:
                yield process


def name_of(process: Path) -> str:
    """The name of a process, which it may have given itself."""
    return printable((process / "comm").read_text(errors="replace").strip())


def printable(told: str) -> str:
    """A name with all that is not to be shown replaced."""
    return "".join(each if each.isprintable() else "?" for each in told)


if sys.platform == "win32":

    def pcsc_users(own: Collection[int], proc: Path = PROC) -> set[str]:  # noqa: ARG001
        """The names of programs and services that use PC/SC, except processes that are not to be named."""
        programs = {name for name, pid in _tasks("/M", "winscard.dll") if pid not in own}
        return programs | {service for service in SERVICES if any(_tasks("/SVC", "/FI", f"SERVICES eq {service}"))}

    def _tasks(*question: str) -> Iterator[tuple[str, int]]:
        """The name and the number of each process in an answer of ``tasklist``; nothing where it gives none."""
        try:
            answer = subprocess.run(
                (system_program("tasklist"), *question, "/FO", "CSV", "/NH"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                check=False,
                timeout=LIMIT,
                creationflags=WITHOUT_WINDOW,
            )
        except (OSError, subprocess.TimeoutExpired):
            return
        # A sentence in the language of the system where there is no such process: it has no second column.
        for row in csv.reader(answer.stdout.decode("ascii", errors="replace").splitlines()):
            if len(row) > 1 and row[1].isdecimal():
                yield printable(row[0].removesuffix(".exe")), int(row[1])

else:

    def pcsc_users(own: Collection[int], proc: Path = PROC) -> set[str]:
        """The names of the programs that use PC/SC, but for processes that are not to be named."""
        found: set[str] = set()
        for process in processes(proc, own):
            with contextlib.suppress(OSError):  # it ended, or is another user's
                if LIBRARY in (process / "maps").read_text(errors="replace"):
                    found.add(name_of(process))
        return found
