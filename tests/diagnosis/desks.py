"""Broken desks: what is prepared on each, which finding has to come first, and words of its remedy in both languages.

A desk has a station with settings and files, and a machine whose ``/sys``, ``/proc`` and ``/etc`` are folders of the
test. Drivers, PC/SC, sockets and databases are the real ones.
"""

import asyncio
import base64
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.diagnosis.certificates import self_signed, tls_server
from tests.posix import OWN_DOOR, somebodys_terminal
from vitale_firmware_sim.card.unix import local_socket
from vitale_reader.daemon.app import running
from vitale_reader.daemon.config import parse
from vitale_reader.diagnosis.machine import InspectedMachine, owner_of
from vitale_reader.diagnosis.station import devices, resolver
from vitale_reader.home import Home

__all__ = ["DESKS", "SERVICE", "Desk", "Prepared", "options", "prepared", "usb_device"]

NO_DRIVER = "[drivers]\nenabled = []\n"
NO_TLS = "[tls]\nenabled = false\n"
GIGABYTES = 50_000_000_000
SERVICE = """\
[station]
mode = "simulated"
[apcv]
resolver = "apcv-soap"
[apcv.options]
url = "{url}"
assertion = "simulator"
identifiant_facturation = "123456789"
code_specialite = "50"
emetteur = "x"
idam = "x"
lps_nom = "x"
lps_version = "1"
lps_instance = "x"
"""


@dataclass
class Prepared:
    """A desk while it is prepared: its home, the root of its machine, what is replaced on it, and its settings."""

    home: Path
    root: Path
    machine: dict[str, Any]
    settings: str

    def write(self, path: str, text: str | bytes) -> Path:
        """Writes a file of the machine."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file


Prepare = Callable[[Prepared], AbstractContextManager[None]]


@dataclass(frozen=True)
class Desk:
    """A broken desk.

    Attributes:
        first: the finding that comes first.
        fr: words of its remedy.
        en: likewise.
        settings: of the station.
        prepare: breaks it, for as long as it is looked at.
        says: words of its title, its detail or its data.
        pcsc: whether the PC/SC service runs.
        started: whether a daemon ran here before.
        status: the exit status.
    """

    first: str
    fr: str
    en: str
    settings: str = NO_DRIVER + NO_TLS
    prepare: Prepare | None = None
    says: str = ""
    pcsc: bool = False
    started: bool = False
    status: int = 6
    files: Mapping[str, str] = field(default_factory=dict[str, str])


def usb_device(place: str, vendor: str, product: str, label: str, *interfaces: str, driver: str = "") -> dict[str, str]:
    """The files of sysfs about a USB device: its numbers and the classes of its interfaces; a driver by its folder."""
    maker, _, name = label.partition("|")
    folder = f"/sys/bus/usb/devices/{place}"
    files = {"idVendor": vendor, "idProduct": product, "manufacturer": maker, "product": name}
    found = {f"{folder}/{key}": f"{value}\n" for key, value in files.items()}
    for number, kind in enumerate(interfaces):
        found[f"{folder}/{place}:1.{number}/bInterfaceClass"] = f"{kind}\n"
        if driver:
            found[f"{folder}/{place}:1.{number}/driver -> {driver}"] = ""
    return found


def preparing(prepare: Callable[[Prepared], Generator[None]]) -> Prepare:
    return contextlib.contextmanager(prepare)


def replaced(**members: Any) -> Prepare:
    """Replaces members of the machine."""

    @preparing
    def prepare(desk: Prepared) -> Generator[None]:
        desk.machine |= members
        yield

    return prepare


@preparing
def utf_16(desk: Prepared) -> Generator[None]:
    (desk.home / "config.toml").write_bytes('store = "sqlite"\n'.encode("utf-16"))
    yield


@preparing
def readable_by_all(desk: Prepared) -> Generator[None]:
    (desk.home / "config.toml").chmod(0o644)
    yield


@preparing
def port_taken(desk: Prepared) -> Generator[None]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        (desk.home / "config.toml").write_text(f"{NO_DRIVER}[tls]\nport = {port}\n")
        yield


@preparing
def web_port_taken(desk: Prepared) -> Generator[None]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings = f"{NO_DRIVER}{NO_TLS}[web]\nenabled = true\nport = {other.getsockname()[1]}\n"
        (desk.home / "config.toml").write_text(settings)
        yield


@preparing
def metrics_port_taken(desk: Prepared) -> Generator[None]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings = f"{NO_DRIVER}{NO_TLS}[metrics]\nenabled = true\nport = {other.getsockname()[1]}\n"
        (desk.home / "config.toml").write_text(settings)
        yield


@preparing
def bearer_open(desk: Prepared) -> Generator[None]:
    (desk.home / "config.toml").write_text(f"{NO_DRIVER}{NO_TLS}[metrics]\nenabled = true\nport = 0\n")
    folder = desk.home / "state"
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "metrics.bearer").write_text("0123456789abcdef0123456789abcdef\n")
    (folder / "metrics.bearer").chmod(0o644)
    yield


@preparing
def nobody_listens(desk: Prepared) -> Generator[None]:
    with socket.socket() as kept:
        kept.bind(("127.0.0.1", 0))  # so that nobody else listens there
        url = f"http://127.0.0.1:{kept.getsockname()[1]}/apcv"
        (desk.home / "config.toml").write_text(NO_DRIVER + NO_TLS + SERVICE.format(url=url))
        yield


@preparing
def name_unknown(desk: Prepared) -> Generator[None]:
    """As a name server answers; the one of this machine may be silent."""
    del desk

    def ask(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", ask)
        yield


@preparing
def says_nothing(desk: Prepared) -> Generator[None]:
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(resolver, "LIMIT", 0.4)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/apcv"
        (desk.home / "config.toml").write_text(NO_DRIVER + NO_TLS + SERVICE.format(url=url))
        yield


@preparing
def pcsc_frozen(desk: Prepared) -> Generator[None]:
    """A service that takes connections, and whose process stands still."""
    place = str(desk.home / "pcscd.comm")
    with local_socket() as service, pytest.MonkeyPatch.context() as patch:
        service.bind(place)
        service.listen()
        patch.setenv("PCSCLITE_CSOCK_NAME", place)
        patch.setattr(devices, "LOOK", 0.5)
        yield


@preparing
def stranger_listens(desk: Prepared) -> Generator[None]:
    with tls_server(desk.home / "server.pem") as port:
        url = f"https://127.0.0.1:{port}/apcv"
        (desk.home / "config.toml").write_text(NO_DRIVER + NO_TLS + SERVICE.format(url=url))
        yield


@preparing
def certificate_ended(desk: Prepared) -> Generator[None]:
    file = desk.home / "site.pem"
    file.write_bytes(self_signed(days=-3))
    settings = SERVICE.format(url="https://127.0.0.1/apcv") + f'certificate = "{file}"\n'
    (desk.home / "config.toml").write_text(NO_DRIVER + NO_TLS + settings)
    yield


@preparing
def imager_held(desk: Prepared) -> Generator[None]:
    port = "/dev/ptmx"  # a device that is no pseudo-terminal itself
    (desk.home / "config.toml").write_text(
        f'{NO_TLS}[drivers]\nenabled = ["scanner"]\n[drivers.options.scanner]\ndevices = ["{port}"]\n'
    )
    program = f"kept = open({str(port)!r}); print('open', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        yield
        other.communicate("\n")


@preparing
def port_of_a_person(desk: Prepared) -> Generator[None]:
    with somebodys_terminal() as path:
        (desk.home / "config.toml").write_text(
            '[station]\nmode = "simulated"\n' + options("scanner", f'devices = ["{path}"]')
        )
        yield


@preparing
def state_is_a_file(desk: Prepared) -> Generator[None]:
    (desk.home / "state").write_text("a copy that somebody made")
    yield


@preparing
def lost_link(desk: Prepared) -> Generator[None]:
    (desk.home / "config.toml").unlink()
    (desk.home / "config.toml").symlink_to("/nowhere/config.toml")
    yield


@preparing
def damaged_store(desk: Prepared) -> Generator[None]:
    (desk.home / "state").mkdir()
    (desk.home / "state" / "store.db.corrupt-20261129T120000Z").write_bytes(b"no database")
    yield


@preparing
def changed_store(desk: Prepared) -> Generator[None]:
    (desk.home / "state" / "store.db").write_bytes(b"no database at all" * 1_000)
    yield


@preparing
def joined_site(desk: Prepared) -> Generator[None]:
    key = desk.home / "state" / "site.key"
    key.write_bytes(base64.urlsafe_b64encode(bytes(32)) + b"\n")
    key.chmod(0o600)
    yield


def options(driver: str, *lines: str) -> str:
    return "\n".join((NO_TLS, f'[drivers]\nenabled = ["{driver}"]\n[drivers.options.{driver}]', *lines, ""))


PCSC = f'{NO_TLS}[drivers]\nenabled = ["pcsc"]\n'
GEMALTO = usb_device("1-1", "08e6", "3437", "Gemalto|PC Twin Reader", "0b")


def full(_: Path) -> int:
    return 1_000_000


def is_read_only(_: Path) -> bool:
    return True


def closed(_: Path) -> bool:
    return False


DESKS: dict[str, Desk] = {
    "the PC/SC service is stopped": Desk("reader_unavailable.pcsc", "pcscd.socket", "pcscd.socket", PCSC),
    "the PC/SC service stands still": Desk(
        "driver_silent", "redémarrez la machine", "restart the machine", PCSC, prepare=pcsc_frozen, says="pcsc"
    ),
    "the disk is full": Desk(
        "disk_full", "Libérez de la place", "Make room", prepare=replaced(free=full), says="1", status=1
    ),
    "the folder is another user's": Desk(
        "folder_refused",
        "sudo chown -R quelqu-un-d-autre",
        "sudo chown -R quelqu-un-d-autre",
        prepare=replaced(writable=closed, user="quelqu-un-d-autre"),
        status=1,
    ),
    "the folder's own user may not write there": Desk(
        "folder_locked",
        "chmod u+rwx",
        "chmod u+rwx",
        prepare=replaced(writable=closed, user=owner_of(Path(__file__))),
        status=1,
    ),
    "the disk is read-only, and has no room either": Desk(
        "folder_read_only",
        "contrôlez le disque",
        "check the disk",
        prepare=replaced(writable=closed, read_only=is_read_only, free=full),
        status=1,
    ),
    "the battery of the clock is flat": Desk(
        "clock_behind",
        "serveur de temps (NTP)",
        "time server (NTP)",
        prepare=replaced(now=lambda: 946_684_800.0),
        status=1,
    ),
    "a text has no quotes": Desk(
        "configuration_invalid.syntax",
        "guillemets droits",
        "straight quotes",
        f"{NO_DRIVER}[station]\nname = Cabinet Dupont\n",
        says="'line': 4",
        status=2,
    ),
    "a setting is misspelt": Desk(
        "configuration_invalid",
        "Corrigez-la",
        "Correct it",
        f"{NO_DRIVER}[tls]\nprot = 1\n",
        says="'line': 4",
        status=2,
    ),
    "an option of a driver is misspelt": Desk(
        "configuration_invalid",
        "Corrigez-la",
        "Correct it",
        options("scanner", "speeed = 9600"),
        says="did you mean speed?",
        status=2,
    ),
    "a driver is misspelt": Desk(
        "configuration_invalid",
        "Corrigez-la",
        "Correct it",
        f'{NO_TLS}[drivers]\nenabled = ["scaner"]\n',
        says="scanner",
        status=2,
    ),
    "a user who may connect does not exist": Desk(
        "configuration_invalid",
        "Corrigez-la",
        "Correct it",
        f'{NO_DRIVER}{NO_TLS}[unix]\nusers = ["nobodyhere"]\n',
        says="nobodyhere",
        status=2,
    ),
    "the resolver lacks its address": Desk(
        "configuration_invalid",
        "Corrigez-la",
        "Correct it",
        f'{NO_DRIVER}{NO_TLS}[apcv]\nresolver = "apcv-soap"\n',
        says="url",
        status=2,
    ),
    "the configuration was saved by Notepad as Unicode": Desk(
        "configuration_invalid.encoding", "UTF-8", "UTF-8", prepare=utf_16, status=2
    ),
    "others may read a password": Desk(
        "configuration_invalid.secrets_readable",
        "Lancez la commande",
        "Run the command",
        f'{NO_TLS}{NO_DRIVER}[drivers.options.x]\npassword = "s3cret-canary"\n',
        prepare=readable_by_all,
        says="chmod 600",
        status=2,
    ),
    "the port is another program's": Desk(
        "configuration_invalid.port_in_use",
        "`port` dans la table `[tls]`",
        "`port` in the table `[tls]`",
        prepare=port_taken,
        says="is held by process",
        status=2,
    ),
    "the port for web pages is another program's": Desk(
        "configuration_invalid.web_port_in_use",
        "le service reprend le port de lui-même",
        "the daemon takes the port again by itself",
        prepare=web_port_taken,
        says="is held by process",
        status=2,
    ),
    "a browser would start another program": Desk(
        "browser_changed",
        "vitale-reader browser install --browser chromium --system",
        "vitale-reader browser install --browser chromium --system",
        says="/etc/chromium/",
        files={"/etc/chromium/native-messaging-hosts/vitale_reader.json": '{"path": "/tmp/x"}'},
        status=1,
    ),
    "the port for metrics is another program's": Desk(
        "configuration_invalid.metrics_port_in_use",
        "donnez un autre port aux mesures",
        "give the metrics another one",
        prepare=metrics_port_taken,
        says="is held by process",
        status=2,
    ),
    "everybody may read the bearer of the metrics": Desk(
        "configuration_invalid.bearer_exposed",
        "fermez-le avec `chmod 0640`",
        "close it with `chmod 0640`",
        prepare=bearer_open,
        says="is open to everybody",
        status=2,
    ),
    "a two-slot reader is in GALSS mode": Desk(
        "usb_galss",
        "mode PC/SC",
        "PC/SC mode",
        PCSC,
        pcsc=True,
        says="0b00:0090",
        files=usb_device("1-2", "0b00", "0090", "INGENICO|Lecteur SESAM VITALE", "0a", "02"),
    ),
    "PC/SC does not show a reader": Desk(
        "usb_unshown", "libccid", "libccid", PCSC, pcsc=True, says="Gemalto PC Twin Reader", files=GEMALTO
    ),
    "the kernel took the contactless reader": Desk(
        "usb_kernel",
        "modprobe -r pn533_usb",
        "modprobe -r pn533_usb",
        says="ACR122U",
        files=usb_device("1-3", "072f", "2200", "ACS|ACR122U PICC Interface", "0b", driver="pn533_usb"),
    ),
    "the GALSS has the imager's port": Desk(
        "galss_takes_port",
        "retirez ce canal de galss.ini",
        "take that channel out of galss.ini",
        options("scanner", 'devices = ["/dev/ttyS7"]'),
        says="CANAL2",
        files={"/etc/galss.ini": "[CANAL1]\r\nCaracteristiques=PC Twin\r\n[CANAL2]\r\nCaracteristiques=/dev/ttyS7\r\n"},
    ),
    "the imager is unplugged": Desk(
        "device_absent",
        "Branchez-le",
        "Plug it in",
        options("scanner", 'devices = ["/dev/serial/by-id/usb-none"]'),
        says="by-id/usb-none",
    ),
    "the camera is unplugged": Desk(
        "device_absent",
        "Branchez-le",
        "Plug it in",
        options("camera", 'devices = ["/nowhere/film.avi"]'),
        says="film.avi",
    ),
    "another program has the imager": Desk(
        "reader_busy.scanner", "Fermez", "Close", prepare=imager_held, says="python"
    ),
    "the simulator's port has become somebody's terminal": Desk(
        "reader_busy.terminal", "par un lien stable", "by a link that stays", prepare=port_of_a_person, says="python"
    ),
    "nothing is plugged in": Desk("no_reader", "Branchez un lecteur", "Connect a reader", options("scanner")),
    "the home has a long name": Desk(
        "configuration_invalid.socket_path", "VITALE_READER_HOME", "VITALE_READER_HOME", says="107", status=2
    ),
    "the store was set aside": Desk(
        "store_set_aside", "audit resume", "audit resume", prepare=damaged_store, says="corrupt-2026", status=1
    ),
    "the store is damaged": Desk(
        "store_unavailable.file-damaged",
        "vitale-reader",
        "vitale-reader",
        prepare=changed_store,
        started=True,
        status=1,
    ),
    "the database of the site is away": Desk(
        "store_unavailable.database-unreachable",
        "Démarrez PostgreSQL",
        "Start PostgreSQL",
        f'store = "postgresql://desk@/no?host=/nowhere"\n{NO_DRIVER}{NO_TLS}',
        prepare=joined_site,
        started=True,
        status=1,
    ),
    "nothing listens at the address of the apCV service": Desk(
        "resolver_unavailable.unreachable", "pare-feu", "firewall", prepare=nobody_listens, status=1
    ),
    "the name of the apCV service is wrong": Desk(
        "resolver_unavailable.host",
        "DNS",
        "DNS",
        NO_DRIVER + NO_TLS + SERVICE.format(url="https://apcv.invalid/x"),
        prepare=name_unknown,
        status=1,
    ),
    "the apCV service is silent": Desk(
        "resolver_unavailable",
        "connexion à internet",
        "internet connection",
        prepare=says_nothing,
        says="no answer in 0.4 s",
        status=1,
    ),
    "the site's certificate for the apCV service has ended": Desk(
        "resolver_unavailable.own-certificate",
        "un nouveau certificat",
        "a new certificate",
        prepare=certificate_ended,
        says="site.pem: ",
        status=1,
    ),
    "another server answers for the apCV service": Desk(
        "resolver_unavailable.tls", "ca_file", "ca_file", prepare=stranger_listens, status=1
    ),
    "the port of the imager is a folder": Desk(
        "reader_unavailable.no-device", "son lien", "its link", options("scanner", 'devices = ["/tmp"]'), says="/tmp"
    ),
    "the port of the NFC reader is a file": Desk(
        "reader_unavailable.no-device",
        "son lien",
        "its link",
        options("nfc", f'devices = ["{__file__}"]'),
        says=__file__,
    ),
    "two drivers have one port": Desk(
        "device_twice",
        "un seul pilote",
        "one driver",
        NO_TLS
        + """
[drivers]
enabled = ["scanner", "nfc"]
[drivers.options.scanner]
devices = ["/dev/serial/by-id/usb-none"]
[drivers.options.nfc]
devices = ["/dev/serial/by-id/usb-none"]
""",
        says="scanner, nfc",
    ),
    "a file is in the place of the state": Desk(
        "local_misuse.no_folder", "Déplacez-le", "Move it away", prepare=state_is_a_file, says="state", status=2
    ),
    "the configuration is a link that leads nowhere": Desk(
        "configuration_invalid.unreadable",
        "lien",
        "a link",
        prepare=lost_link,
        says="/nowhere/config.toml",
        status=2,
    ),
    "the address of the desk has changed": Desk(
        "configuration_invalid.address_not_here",
        "Corrigez `host`",
        "Correct `host`",
        f'{NO_DRIVER}[tls]\nlan = true\nhost = "192.0.2.7"\n',
        says="192.0.2.7",
        status=2,
    ),
    "profiles stand where options of the driver do": Desk(
        "configuration_invalid",
        "Corrigez-la",
        "Correct it",
        options("nfc", 'profiles = ["/nowhere.toml"]'),
        says="profiles are told in [apcv]",
        status=2,
    ),
    "the clock was put back by three hours": Desk(
        "clock_behind",
        "serveur de temps (NTP)",
        "time server (NTP)",
        prepare=replaced(now=lambda: time.time() - 3 * 3_600),
        status=1,
    ),
    "the daemon is stopped": Desk("daemon_unreachable", "vitale-reader serve", "vitale-reader serve", status=3),
}


@contextlib.contextmanager
def prepared(desk: Desk, folder: Path) -> Generator[tuple[Home, InspectedMachine]]:
    """A broken desk in a folder: its home and its machine. PC/SC is the caller's business."""
    place = folder / ("home" if desk.first != "configuration_invalid.socket_path" else "h" * 120)
    place.mkdir()
    home = Home.under(place)
    if desk.started:
        _start_once(home)
    root = folder / "root"
    root.mkdir()
    made = Prepared(place, root, {"root": root, "system": "linux", "free": _roomy, "user": "paul"}, desk.settings)
    home.config.write_text(desk.settings)
    home.config.chmod(0o600)
    for path, text in desk.files.items():
        _write(made, path, text)
    with contextlib.ExitStack() as stack:
        if desk.prepare is not None:
            stack.enter_context(desk.prepare(made))
        yield home, InspectedMachine(**made.machine)


def _roomy(_: Path) -> int:
    return GIGABYTES


def _write(desk: Prepared, path: str, text: str) -> None:
    link, arrow, target = path.partition(" -> ")
    if not arrow:
        desk.write(path, text)
        return
    driver = desk.root / "sys/bus/usb/drivers" / target
    driver.mkdir(parents=True, exist_ok=True)
    (desk.root / link.lstrip("/")).symlink_to(driver)


def _start_once(home: Home) -> None:
    async def main() -> None:
        async with running(home, parse(f"[drivers]\nenabled = []\n{OWN_DOOR}")):
            pass

    asyncio.run(main())
