"""The options of the driver ``nfc``, and the addresses of its devices; checked once, at the edge."""

import re
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from vitale_drivers.base import Options
from vitale_protocol.configuration.settings import convert_settings, refusal
from vitale_protocol.media.apcv_profile import Profile, parse_profile

__all__ = ["NfcAddress", "NfcSettings", "parse_address", "parse_options"]

TABLE = "drivers.options.nfc"
_Seconds = Annotated[float, msgspec.Meta(gt=0, le=600)]
_Address = Annotated[str, msgspec.Meta(min_length=3, max_length=200)]

_USB = re.compile(r"usb(?::([0-9a-fA-F]{4}))?(?::([0-9a-fA-F]{4}))?\Z")
_TTY = re.compile(r"tty:([A-Za-z0-9-]+):pn532\Z")
_COM = re.compile(r"com:(?:COM)?([0-9]{1,3}):pn532\Z")
# nfcpy hands the path of a serial line to a shell (``stty``), unquoted: nothing may stand in it that a shell reads.
_PATH = re.compile(r"(?:pty:)?(/[A-Za-z0-9/_.@+:-]+)\Z")
_UDP = re.compile(r"udp:([A-Za-z0-9.-]+):([0-9]{1,5})\Z")


@dataclass(frozen=True, slots=True)
class NfcAddress:
    """Address at which readers are searched.

    Attributes:
        kind: ``usb`` for readers on USB, of any make unless ``vid`` and ``pid`` are given. ``serial`` is for a PN532 on
            the serial line ``path``, ``udp`` for nfcpy's stand-in.
    """

    kind: Literal["usb", "serial", "udp"]
    path: str = ""
    vid: int | None = None
    pid: int | None = None


class NfcSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options; all times are seconds.

    Attributes:
        devices: addresses: ``usb``, ``usb:054c:06c1``, ``tty:USB0:pn532``, ``com:3:pn532``, ``udp:localhost:54321``.
            Also the path of a serial port with a PN532 (``/dev/serial/by-id/…``).
        profiles: the TOML texts of the profiles, tried in this order; nothing can be read without.
        poll: pause between two looks into an empty field.
        watch: pause between two looks whether what was read is still there.
        settle: what comes back within this time after it was read has not left.
        linger: how long a phone that was read is watched after disarming. Then the field goes off all the same.
        unlock: pause between two attempts to read a phone that is locked.
        exchange_limit: the longest that one APDU may take, its extensions of waiting time included.
        reading_limit: the longest that one reading may take.
        look: pause between two attempts to find or open a reader that is not there or does not work.
    """

    devices: Annotated[tuple[_Address, ...], msgspec.Meta(min_length=1, max_length=16)] = ("usb",)
    profiles: Annotated[tuple[str, ...], msgspec.Meta(max_length=16)] = ()
    poll: _Seconds = 0.02
    watch: _Seconds = 0.05
    settle: _Seconds = 0.2
    linger: _Seconds = 10.0
    unlock: _Seconds = 0.5
    exchange_limit: _Seconds = 3.0
    reading_limit: _Seconds = 8.0
    look: _Seconds = 0.5


def parse_options(options: Options) -> tuple[NfcSettings, tuple[NfcAddress, ...], tuple[Profile, ...]]:
    """Checks the options.

    Raises:
        ConfigurationInvalid: an option, an address or a profile cannot be used.
    """
    settings = convert_settings(options, NfcSettings, table=TABLE)
    addresses = tuple(parse_address(text) for text in settings.devices)
    profiles = tuple(parse_profile(text, source=f"profile {at}") for at, text in enumerate(settings.profiles, 1))
    return settings, addresses, profiles


def parse_address(text: str) -> NfcAddress:
    """Reads the address of a device.

    Raises:
        ConfigurationInvalid: it is none.
    """
    if found := _USB.match(text):
        vid, pid = found.groups()
        return NfcAddress("usb", vid=None if vid is None else int(vid, 16), pid=None if pid is None else int(pid, 16))
    if found := _TTY.match(text):
        return NfcAddress("serial", f"/dev/tty{found[1]}")
    if found := _COM.match(text):
        return NfcAddress("serial", f"COM{found[1]}")
    if found := _PATH.match(text):
        return NfcAddress("serial", found[1])
    if (found := _UDP.match(text)) and 0 < int(found[2]) < 65_536:
        return NfcAddress("udp", f"{found[1]}:{found[2]}")
    raise refusal(f"{TABLE}.devices", f"{text} is not the address of an NFC reader")
