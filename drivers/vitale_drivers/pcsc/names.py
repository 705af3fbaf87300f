"""PC/SC reader names taken apart, and ids that outlive replugging.

The number in a PC/SC name counts the readers plugged at the moment. It changes with the socket, the order of plugging
and the day. Software that stores it (``galss.ini``) then breaks, the most frequent trouble of the field.

An id is ``pcsc:MODEL[@SERIAL][~ORDINAL][.slot-N]``. The slot number of pcsc-lite is a place in the device's case and
stays. Identical twins without serial numbers get ordinals from 2 on, which they keep while either stays plugged.
"""

import re
from dataclasses import dataclass

__all__ = ["ReaderName", "StableIds", "is_simulated", "parse_name", "shown_name"]

# pcsc-lite: NAME [interface] (serial) DEVICE SLOT, the last two as %02X. The name itself may have brackets.
_PCSC_LITE = re.compile(
    r"(?P<model>.*?)(?: \((?P<serial>[^()]*)\))? (?P<unit>[0-9A-F]{2}) (?P<slot>[0-9A-F]{2})", re.DOTALL
)
# Windows: NAME N, always; macOS: NAME, and NAME NN for the second of the same name.
_NUMBERED = re.compile(r"(?P<model>.*\S) (?P<unit>\d{1,2})", re.DOTALL)

# vsmartcard under pcsc-lite and macOS, and under Windows; there it is a BixVReader, whose maker and kind a file tells:
# as shipped "Virtual Smart Card Architecture Virtual PCD", or "Fabio Ottavi Pipe Reader" by the driver it comes from.
# A card that Windows keeps in a TPM is a program's, too.
_VIRTUAL = re.compile(
    r"virtual smart ?card architecture\b|.*\bvirtual pcd\b|.*\bbix ?v(?:irtual )?(?:smart card )?reader\b"
    r"|fabio ottavi\b|microsoft virtual smart card\b",
    re.IGNORECASE,
)

_OUTSIDE_ID = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class ReaderName:
    """A PC/SC reader name, taken apart.

    Attributes:
        full: as PC/SC gives it.
        model: what stays the same for every device of the kind, with the interface in brackets.
        serial: empty where the name does not tell it.
        unit: the number that PC/SC gave to the device for the time being.
        slot: the place in the device's case, where the name tells it.
        complete: whether the name would tell a serial number if the device had one.
    """

    full: str
    model: str
    serial: str = ""
    unit: str = ""
    slot: int = 0
    complete: bool = False


def parse_name(full: str) -> ReaderName:
    """Takes a name apart; one in no known form is all model."""
    if found := _PCSC_LITE.fullmatch(full):
        slot = int(found["slot"], 16)
        return ReaderName(full, found["model"], found["serial"] or "", found["unit"], slot, complete=True)
    if found := _NUMBERED.fullmatch(full):
        return ReaderName(full, found["model"], unit=found["unit"])
    return ReaderName(full, full)


def is_simulated(full: str) -> bool:
    """True if the name is one of a virtual reader, behind which there is a program and no card.

    Other names with "Virtual" in them are real readers, handed through to a virtual machine.
    """
    return _VIRTUAL.match(full) is not None


def shown_name(full: str, *, redirected: bool) -> str:
    """Returns a PC/SC reader name for people; one at the far end of a remote session says so."""
    return f"{full} (remote session)" if redirected else full


class StableIds:
    """Gives ids to the readers that are plugged."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[str, str, int]] = {}

    def assign(self, name: ReaderName) -> str:
        """The id of a reader that was plugged; the same again while it stays."""
        device = _slug(name.model) + (f"@{_slug(name.serial)}" if name.serial else "")
        if name.full not in self._held:
            self._held[name.full] = (device, name.unit, self._ordinal(device, name.unit))
        ordinal = self._held[name.full][2]
        twin = f"~{ordinal}" if ordinal > 1 else ""
        slot = f".slot-{name.slot}" if name.slot else ""
        return f"pcsc:{device}{twin}{slot}"

    def release(self, full: str) -> None:
        """The reader of this PC/SC name was unplugged."""
        del self._held[full]

    def _ordinal(self, device: str, unit: str) -> int:
        twins = {
            number: its for its, number in ((held[1], held[2]) for held in self._held.values() if held[0] == device)
        }
        for number, its in twins.items():
            if its == unit:
                return number  # another slot of the same device
        return next(number for number in range(1, len(twins) + 2) if number not in twins)


def _slug(text: str) -> str:
    return _OUTSIDE_ID.sub("-", text.lower()).strip("-") or "reader"
