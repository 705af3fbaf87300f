"""The phones of the demonstration: their contactless reader on a pseudo-terminal, and the apCV service that knows them.

A scenario stands behind both, so the service knows the strings that the phones make. Without pseudo-terminals (Windows)
or nfcpy there is no reader of that kind; ``why`` gives the reason. The service runs all the same, for phones on a
contactless PC/SC reader.
"""

import importlib
import json
import secrets
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vitale_firmware_sim.apcv_service.service import ApcvService
from vitale_firmware_sim.phone.card import PhoneCard
from vitale_firmware_sim.phone.user import PhoneUser
from vitale_firmware_sim.scenario import Scenario, load_scenario
from vitale_protocol.errors import ToolMissing
from vitale_protocol.extras import missing
from vitale_reader.cli.demo.pseudo_terminals import needing_pseudo_terminals
from vitale_reader.version import VERSION

if TYPE_CHECKING:
    from vitale_firmware_sim.pn532.reader import Pn532Reader

__all__ = ["SCENARIO", "HeldPhone", "PhoneDevices", "phone_devices"]

SCENARIO = "famille"

# The service is in this process; a machine that is busy with other things is given time all the same.
RESOLVER_TIMEOUT = 60.0

# What a practice would have from its own contracts; none of it means anything to anybody else.
_PRACTICE = {
    "assertion": "simulator",
    "rights": "simulator",
    "identifiant_facturation": "123456782",
    "code_specialite": "50",
    "emetteur": "officine-demo",
    "idam": "IDAM-0000",
    "lps_nom": "vitale-reader",
    "lps_version": VERSION,
    "lps_instance": "demo",
}


class HeldPhone(PhoneCard):
    """A phone in somebody's hand, who unlocks it before each reading.

    Attributes:
        last: the string of the last reading; empty before the first.
    """

    def __init__(self, phone_user: PhoneUser) -> None:
        super().__init__(self._next)
        self.last = b""
        self._phone_user = phone_user

    def _next(self) -> bytes:
        self.last = self._phone_user.tap()
        return self.last


@dataclass(frozen=True)
class PhoneDevices:
    """Reader on which phones are laid, and the service that knows them.

    Attributes:
        reader: a contactless reader on a serial line, or None where there can be none.
        service: the apCV service.
        scenario: the people and their phones.
        why: why there is no reader, or empty.
    """

    reader: "Pn532Reader | None"
    service: ApcvService
    scenario: Scenario
    why: str = ""

    @property
    def drivers(self) -> tuple[str, ...]:
        """The driver of the reader, where there is one."""
        return () if self.reader is None else ("nfc",)

    @property
    def configuration(self) -> str:
        """The daemon's tables for all this, in TOML."""
        lines = [] if self.reader is None else ["[drivers.options.nfc]", f"devices = [{json.dumps(self.reader.path)}]"]
        lines += ["[apcv]", 'profiles = ["simulator"]', 'resolver = "apcv-soap"', f"timeout = {RESOLVER_TIMEOUT}"]
        lines += ["[apcv.options]", f"url = {json.dumps(self.service.url)}"]
        lines += [f"{name} = {json.dumps(value)}" for name, value in _PRACTICE.items()]
        return "\n".join(lines) + "\n"

    def phone(self, owner: str, present_for: str = "") -> HeldPhone:
        """Somebody's phone, for himself or for who delegated to him."""
        phone_user = PhoneUser(
            self.scenario, owner, clock=time.time, random=secrets.token_bytes, present_for=present_for
        )
        return HeldPhone(phone_user)

    def copy(self, string: bytes) -> PhoneCard:
        """A phone that gives a string which another one gave."""
        return PhoneCard(lambda: string)


@contextmanager
def phone_devices() -> Generator[PhoneDevices, None, None]:
    """The service, and the reader where there can be one."""
    scenario = load_scenario(SCENARIO)
    with ExitStack() as stack:
        service = stack.enter_context(ApcvService(scenario))
        try:
            reader, why = stack.enter_context(_reader()), ""
        except ToolMissing as error:
            reader, why = None, error.detail
        yield PhoneDevices(reader, service, scenario, why)


def _reader() -> "Pn532Reader":
    try:
        # The only sure way to know whether the driver will have nfcpy, pyserial, and the libusb that nfcpy loads.
        importlib.import_module("vitale_drivers.nfc.devices")
    except (ImportError, OSError) as error:
        raise missing(error, "driver nfc", extra="nfc", library="libusb-1.0") from error
    with needing_pseudo_terminals():
        from vitale_firmware_sim.pn532.reader import Pn532Reader

        # As quick as the wire on which driver and chip agree.
        reader = Pn532Reader(baud="agreed")
        reader.open()
    return reader
