"""The options of the driver ``scanner``, its ready-made framings and the addresses of imagers; checked once."""

import re
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import msgspec

from vitale_drivers.base import Options
from vitale_drivers.scanner.framing import ScanFraming
from vitale_drivers.scanner.maker_identifiers import Maker
from vitale_protocol.configuration.settings import convert_settings, refusal
from vitale_protocol.media.apcv_profile import MAX_STRING

__all__ = [
    "FRAMINGS",
    "MAKERS",
    "FramingName",
    "PassthroughAddress",
    "ScannerAddress",
    "ScannerSettings",
    "parse_address",
    "parse_options",
    "parse_passthrough",
]

FramingName: TypeAlias = Literal[
    "line", "cr", "lf", "crlf", "tab", "etx", "nul", "stx-etx", "aim-cr", "aim-crlf", "idle"
]

TABLE = "drivers.options.scanner"
_Seconds = Annotated[float, msgspec.Meta(gt=0, le=600)]
_AddressText = Annotated[str, msgspec.Meta(min_length=3, max_length=200)]
_Mark = Annotated[str, msgspec.Meta(min_length=1, max_length=20)]

_Beginning = Annotated[str, msgspec.Meta(min_length=2, max_length=100)]

_USB = re.compile(r"usb(?::([0-9a-fA-F]{4}))?(?::([0-9a-fA-F]{4}))?(?::([^\s:][^\s]{0,99}))?\Z")
_COM = re.compile(r"(?:com:)?COM([1-9][0-9]{0,2})\Z|com:([1-9][0-9]{0,2})\Z")
_PTY = re.compile(r"pty:(/[^\x00-\x1f]+)\Z")
_FILE = re.compile(r"(?:pty:)?(/[^\x00-\x1f]+)\Z")

FRAMINGS: dict[FramingName, ScanFraming] = {
    # What fits almost every imager as it comes: CR, LF or both, TAB, ETX; identifiers where they are sent. NUL is not
    # among them: it is what a wrong speed reads.
    "line": ScanFraming(suffixes=(b"\r", b"\n", b"\t", b"\x03"), aim=True),
    "cr": ScanFraming(suffixes=(b"\r",)),
    "lf": ScanFraming(suffixes=(b"\n",)),
    "crlf": ScanFraming(suffixes=(b"\r\n",)),
    "tab": ScanFraming(suffixes=(b"\t",)),
    "etx": ScanFraming(suffixes=(b"\x03",)),
    "nul": ScanFraming(suffixes=(b"\0",)),
    "stx-etx": ScanFraming(prefix=b"\x02", suffixes=(b"\x03",)),
    "aim-cr": ScanFraming(suffixes=(b"\r",), aim=True),
    "aim-crlf": ScanFraming(suffixes=(b"\r\n",), aim=True),
    "idle": ScanFraming(),
}

MAKERS = frozenset({0x05E0, 0x05F9, 0x065A, 0x067E, 0x080C, 0x0C2E, 0x1EAB})
"""Vendor numbers of makers of imagers: Zebra, Datalogic (two), Opticon, Intermec, Honeywell, Newland."""


@dataclass(frozen=True, slots=True)
class ScannerAddress:
    """Address at which imagers are searched.

    Attributes:
        kind: ``usb`` may be several imagers, of the known makers unless ``vid`` says which. ``port`` is the one at
            ``path``.
        path: a path, or ``COM3``.
        vid: the maker.
        pid: the product.
        serial_number: of one device.
    """

    kind: Literal["usb", "port"]
    path: str = ""
    vid: int | None = None
    pid: int | None = None
    serial_number: str = ""

    def fits(self, vid: int, pid: int, serial_number: str) -> bool:
        """True if a USB device is meant."""
        maker = vid in MAKERS if self.vid is None else vid == self.vid
        return maker and self.pid in {None, pid} and self.serial_number in {"", serial_number}


class ScannerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options; all times are seconds.

    Attributes:
        devices: addresses: ``usb`` (serial ports of the known makers), ``usb:0c2e``, ``usb:0c2e:0b6a`` or
            ``usb:0c2e:0b6a:SERIAL``. Also a path such as ``/dev/serial/by-id/…``, or ``COM3``.
        framing: the marks of a scan, ready made. ``line`` takes CR, LF or both, TAB or ETX, and AIM identifiers where
            they are sent. ``idle`` takes a pause. The others are ``cr``, ``lf``, ``crlf``, ``tab``, ``etx``, ``nul``,
            ``stx-etx``, ``aim-cr`` and ``aim-crlf``.
        prefix: what stands before each scan, instead of the framing's.
        suffix: what ends a scan, instead of the framing's; several where any of them does; empty: a pause.
        aim: whether AIM identifiers (``]Q1``) are recognised, instead of what the framing says.
        identifiers: whose own code identifiers the imager sends before each code, where it sends no AIM identifiers.
        speed: bits a second; without effect on USB.
        data_bits: of a character.
        parity: of a character.
        stop_bits: of a character.
        max_bytes: the longest code.
        grace: how long a scan that nobody asked for is kept.
        repeat: a code that comes again within this time is the same scan; 0: each is its own.
        line_timeout: a pause in the middle of a line after which it is given up.
        idle_gap: a pause that ends a scan, where no suffix does.
        others: beginnings of codes that are no patient's, where nothing else tells: such as those of prescriptions.
        apcv_formats: published formats that the strings of this site's apCVs have; the daemon has them from
            ``apcv.formats``.
        passthrough: a port to which codes that are no patient's are written, for a program that reads one.
            ``pty:/dev/shm/imager`` makes a pseudo-terminal with that link. ``/dev/ttyS1`` or ``COM5`` is there already.
        passthrough_end: what ends each code there.
        passthrough_speed: bits a second there; without effect on a pseudo-terminal.
        look: pause between two attempts to find or open an imager that is not there or does not work.
    """

    devices: Annotated[tuple[_AddressText, ...], msgspec.Meta(min_length=1, max_length=16)] = ("usb",)
    framing: FramingName = "line"
    prefix: Annotated[str, msgspec.Meta(max_length=20)] | None = None
    suffix: (
        Annotated[str, msgspec.Meta(max_length=20)]
        | Annotated[tuple[_Mark, ...], msgspec.Meta(min_length=1, max_length=4)]
        | None
    ) = None
    aim: bool | None = None
    identifiers: Maker | None = None
    speed: Annotated[int, msgspec.Meta(ge=300, le=4_000_000)] = 9600
    data_bits: Literal[7, 8] = 8
    parity: Literal["none", "even", "odd", "mark", "space"] = "none"
    stop_bits: Literal[1, 2] = 1
    max_bytes: Annotated[int, msgspec.Meta(ge=1, le=MAX_STRING)] = MAX_STRING
    grace: Annotated[float, msgspec.Meta(ge=0, le=60)] = 5.0
    repeat: Annotated[float, msgspec.Meta(ge=0, le=60)] = 1.0
    line_timeout: _Seconds = 0.5
    idle_gap: _Seconds = 0.1
    others: Annotated[tuple[_Beginning, ...], msgspec.Meta(max_length=32)] = ()
    apcv_formats: tuple[str, ...] = ()
    passthrough: _AddressText | None = None
    passthrough_end: Annotated[str, msgspec.Meta(max_length=20)] = "\r"
    passthrough_speed: Annotated[int, msgspec.Meta(ge=300, le=4_000_000)] = 9600
    look: _Seconds = 0.5

    def scan_framing(self) -> ScanFraming:
        """The framing, with the options that replace parts of it.

        Raises:
            ConfigurationInvalid: a mark cannot be used.
        """
        made = FRAMINGS[self.framing]
        suffix = (self.suffix,) if isinstance(self.suffix, str) else self.suffix
        framing = ScanFraming(
            prefix=made.prefix if self.prefix is None else _bytes(self.prefix),
            suffixes=made.suffixes if suffix is None else tuple(_bytes(text) for text in suffix if text),
            aim=made.aim if self.aim is None else self.aim,
            maker=self.identifiers,
        )
        for one in framing.suffixes:
            if any(one != other and other.startswith(one) for other in framing.suffixes):
                # The shorter one would end a scan or not, as the bytes happen to arrive.
                raise refusal(f"{TABLE}.suffix", "no suffix may begin with another one")
        return framing


@dataclass(frozen=True, slots=True)
class PassthroughAddress:
    """Place at which another program gets codes.

    Attributes:
        path: a path, or ``COM5``.
        made: whether it is a pseudo-terminal to be made, with a link of that path.
        suffix: what ends each code there.
        speed: bits a second.
    """

    path: str
    made: bool
    suffix: bytes
    speed: int


def parse_passthrough(settings: ScannerSettings) -> PassthroughAddress | None:
    """Reads the place at which another program gets codes; None where none does.

    Raises:
        ConfigurationInvalid: it is no place for that, or the place of an imager.
    """
    text = settings.passthrough
    if text is None:
        return None
    if text in settings.devices:
        raise refusal(f"{TABLE}.passthrough", f"{text} is an imager's port")
    made = _PTY.match(text)
    if made is None and not (_COM.match(text) or text.startswith("/")):
        raise refusal(f"{TABLE}.passthrough", f"{text} is neither pty:/a/path nor a serial port")
    suffix = _bytes(settings.passthrough_end)
    return PassthroughAddress(made[1] if made else text, made is not None, suffix, settings.passthrough_speed)


def parse_options(options: Options) -> tuple[ScannerSettings, tuple[ScannerAddress, ...], ScanFraming]:
    """Checks the options.

    Raises:
        ConfigurationInvalid: an option or an address cannot be used.
    """
    settings = convert_settings(options, ScannerSettings, table=TABLE)
    addresses = tuple(parse_address(text) for text in settings.devices)
    return settings, addresses, settings.scan_framing()


def parse_address(text: str) -> ScannerAddress:
    """Reads the address of imagers.

    Raises:
        ConfigurationInvalid: it is none.
    """
    if found := _USB.match(text):
        vid, pid, serial_number = found.groups()
        if not serial_number or pid:
            return ScannerAddress(
                "usb",
                vid=None if vid is None else int(vid, 16),
                pid=None if pid is None else int(pid, 16),
                serial_number=serial_number or "",
            )
    if found := _COM.match(text):
        return ScannerAddress("port", f"COM{found[1] or found[2]}")
    if found := _FILE.match(text):
        return ScannerAddress("port", found[1])
    raise refusal(f"{TABLE}.devices", f"{text} is not the address of an imager")


def _bytes(text: str) -> bytes:
    """The bytes that a mark in the configuration stands for: those of its characters, which are all below 256."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError as error:
        raise refusal(TABLE, "a prefix or suffix has characters that are no bytes") from error
