"""A private PC/SC service with virtual readers, for tests and demonstrations: never the machine's own.

pcscd has its socket at a fixed path. Here it runs in a mount namespace of its own, where that path is a folder of ours.
Clients find it through ``PCSCLITE_CSOCK_NAME``, which must be set before libpcsclite is first used in a process. Linux
with pcscd, vsmartcard-vpcd and util-linux only. vpcd listens on every interface of the machine, which cannot be
changed: run this for tests and demonstrations, not on a desk.

Debian's pcscd does not read its configuration of serial readers again. ``pcscd --hotplug`` was tried: it minds USB
readers only. A virtual reader therefore comes and goes by ``restart`` with other names, which also renumbers them.
"""

import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from vitale_firmware_sim.card.unix import is_root, local_socket
from vitale_protocol.errors import ReaderUnavailable, ToolMissing

__all__ = ["PcscService", "virtual_reader_library"]

_LIBRARY_NAME: Final = "pcsc/drivers/serial/libifdvpcd.so"
_LIBRARY_FOLDERS: Final = (Path("/usr/lib"), Path("/usr/local/lib"), Path("/usr/lib64"))
_SYSTEM_FOLDERS: Final = ("/usr/sbin", "/sbin", "/usr/local/sbin")
# vpcd is compiled with two slots, on consecutive ports.
_SLOTS: Final = 2
# Below Linux's ephemeral ports (32768), so that no outgoing connection takes one between the choice and the start.
_PORTS: Final = range(20_000, 32_000, _SLOTS)
# A busy machine starts a program of others late; one that cannot start ends, and is not waited for.
_READY_WITHIN: Final = 60.0
_STOP_WITHIN: Final = 10.0

# Where /run/pcscd is missing and cannot be made by an ordinary user, this namespace gets a /run of its own.
_SCRIPT: Final = """
run=$1; shift
mkdir -p /run/pcscd 2>/dev/null || { mount -t tmpfs tmpfs /run && mkdir /run/pcscd; } || exit 1
mount --bind "$run" /run/pcscd && exec "$@"
"""


class PcscService:
    """A pcscd of our own. Start it with ``with`` or ``start``; it can be killed and started again on the same ports.

    Args:
        directory: an empty folder for its socket, configuration and log; a short path, as Unix sockets need (108
            bytes).
        readers: the virtual readers by name, each with two slots. Programs see "Virtual PCD" as "Virtual PCD 00 00" and
            "Virtual PCD 00 01". Other names should begin alike, since drivers recognise a simulation by that.
    """

    def __init__(self, directory: Path, readers: Sequence[str] = ("Virtual PCD",)) -> None:
        self._directory = directory
        self._run = directory / "run"
        self._configuration = directory / "reader.conf"
        self._log = directory / "pcscd.log"
        self.readers = tuple(readers)
        self._ports: dict[str, tuple[int, ...]] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def socket_path(self) -> Path:
        """The service's Unix socket."""
        return self._run / "pcscd.comm"

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which a PC/SC program finds this service."""
        return {"PCSCLITE_CSOCK_NAME": str(self.socket_path)}

    @property
    def ports(self) -> tuple[int, ...]:
        """The TCP port of each slot, for ``VpcdLink``; a reader keeps its ports from its first start on."""
        return tuple(port for name in self.readers for port in self._ports.get(name, ()))

    @property
    def pid(self) -> int | None:
        """The process, or None when it does not run."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Starts the service and returns when it answers.

        Raises:
            ToolMissing: pcscd, unshare or vpcd is not installed; ``data.remedy`` is the command that installs it.
            ReaderUnavailable: it did not start; ``data.log`` is the path of its log, ``data.said`` its last line.
                ``data.refused`` is "namespace" where the system denies a mount namespace.
        """
        if self._process is not None:
            return
        command = self._command()
        self._run.mkdir(parents=True, exist_ok=True)
        self._forget_former()
        self._configure()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self._wait_until_ready(self._process)
        except BaseException:
            self.kill()
            raise

    def restart(self, readers: Sequence[str] | None = None) -> None:
        """Stops the service and starts it, with other readers where they are given.

        Raises:
            ReaderUnavailable: it did not start.
        """
        self.stop()
        self.readers = self.readers if readers is None else tuple(readers)
        self.start()

    def kill(self) -> None:
        """Ends the service at once, as a crash does: SIGKILL."""
        self._end(at_once=True)

    def stop(self) -> None:
        """Ends the service in good order."""
        self._end(at_once=False)

    def _end(self, *, at_once: bool) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if at_once:
            process.kill()
        else:
            process.terminate()
        try:
            process.wait(_STOP_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _forget_former(self) -> None:
        """Removes what a service that was killed has left.

        Its PID file would keep the next one out once another process has its number.
        """
        for name in ("pcscd.pid", self.socket_path.name):
            (self._run / name).unlink(missing_ok=True)

    def _command(self) -> list[str]:
        pcscd = _program("pcscd", "pcscd")
        unshare = _program("unshare", "util-linux")
        virtual_reader_library()
        # As an ordinary user the mount needs a user namespace, in which this user is root.
        namespace = ["--mount"] if is_root() else ["--mount", "--map-root-user"]
        service = [pcscd, "--foreground", "--config", str(self._configuration), *_without_polkit(pcscd)]
        return [unshare, *namespace, "sh", "-c", _SCRIPT, "sh", str(self._run), *service]

    def _configure(self) -> None:
        """Writes the configuration. vpcd's slots are global variables: each further reader needs a copy."""
        library = virtual_reader_library()
        entries: list[str] = []
        for name in self.readers:
            self._ports.setdefault(name, _free_ports(exclude=self._ports.values()))
            port = self._ports[name][0]
            copy = library if not entries else self._directory / f"vpcd-{port}.so"
            if copy != library and not copy.exists():
                shutil.copy(library, copy)
            entries.append(
                f'FRIENDLYNAME "{name}"\nDEVICENAME /dev/null:0x{port:04X}\nLIBPATH {copy}\nCHANNELID 0x{port:04X}\n'
            )
        self._configuration.write_text("\n".join(entries), encoding="ascii")

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        """Tries to connect until the service accepts; it opens its socket after its readers."""
        deadline = time.monotonic() + _READY_WITHIN
        while not _accepts(self.socket_path):
            try:
                process.wait(0.005)
            except subprocess.TimeoutExpired:
                if time.monotonic() < deadline:
                    continue
            raise self._not_started()

    def _not_started(self) -> ReaderUnavailable:
        lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
        said = next((line.strip() for line in reversed(lines) if line.strip()), "")
        data = {"service": "pcscd", "log": str(self._log), "said": said}
        if said.startswith("unshare:"):
            # Containers without CAP_SYS_ADMIN; an ordinary user in a chroot, or where user namespaces are switched off.
            refused = f"no mount namespace for pcscd ({said}); in a container that takes CAP_SYS_ADMIN"
            return ReaderUnavailable(refused, data={**data, "refused": "namespace"})
        return ReaderUnavailable(f"pcscd did not start: {said}" if said else "pcscd did not start", data=data)


def virtual_reader_library() -> Path:
    """Returns the path of vpcd's installed reader driver.

    Raises:
        ToolMissing: it is not installed.
    """
    for folder in _LIBRARY_FOLDERS:
        for library in (folder / _LIBRARY_NAME, *folder.glob(f"*/{_LIBRARY_NAME}")):
            if library.is_file():
                return library
    raise _missing("libifdvpcd.so", "vsmartcard-vpcd")


def _without_polkit(pcscd: str) -> list[str]:
    """The option that lets this user's programs in where no polkit runs.

    pcscd 2 has it, and needs it there.
    """
    command = [pcscd, "--help"]
    usage = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_READY_WITHIN)
    return ["--disable-polkit"] if b"--disable-polkit" in usage.stdout else []


def _program(name: str, package: str) -> str:
    # The folders of system programs are often not on an ordinary user's path.
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *_SYSTEM_FOLDERS))
    found = shutil.which(name, path=path)
    if found is None:
        raise _missing(name, package)
    return found


def _missing(tool: str, package: str) -> ToolMissing:
    return ToolMissing(f"{tool} is not installed", data={"tool": tool, "remedy": f"apt-get install {package}"})


def _accepts(path: Path) -> bool:
    with local_socket() as probe:
        return probe.connect_ex(str(path)) == 0


def _free_ports(exclude: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    taken = set(exclude)
    for first in random.sample(_PORTS, len(_PORTS)):
        pair = tuple(range(first, first + _SLOTS))
        if pair not in taken and all(_is_free(port) for port in pair):
            return pair
    raise ReaderUnavailable("no free ports for virtual readers", data={"service": "vpcd"})


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            # Every interface, as vpcd does.
            probe.bind(("", port))
        except OSError:
            return False
        return True
