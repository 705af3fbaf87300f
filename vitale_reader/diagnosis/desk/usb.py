r"""USB devices of known makers, and those nobody can use: unseen by PC/SC, or taken by the kernel.

| system | where the devices are listed |
|---|---|
| Linux | ``/sys/bus/usb/devices`` (Documentation/ABI/testing/sysfs-bus-usb) |
| Windows | ``pnputil /enum-devices /connected``: instance ids ``USB\VID_xxxx&PID_xxxx\…`` |
| macOS | ``system_profiler SPUSBDataType`` |
"""

import re
import subprocess
import tomllib
from collections.abc import Collection, Iterator
from functools import cache
from importlib import resources
from typing import Literal

import msgspec

from vitale_drivers.host.programs import system_program
from vitale_protocol.diagnosis.check_results import CheckResult
from vitale_reader.diagnosis.machine import InspectedMachine

__all__ = ["KnownDevice", "UsbDevice", "known_devices", "look", "of_macos", "of_windows", "plugged"]

#: USB interface classes (usb.org, "Defined Class Codes"): smart card, human interface device, communication.
SMART_CARD, HUMAN_INTERFACE, COMMUNICATION = "0b", "03", "02"

#: Modules of Linux that take NFC readers as soon as they are plugged in.
KERNEL_DRIVERS = frozenset({"pn533_usb", "port100", "pn533"})

#: Seconds for a program of the system to list the devices.
LIMIT = 10.0

#: Flags of a program that shows no console.
WITHOUT_WINDOW: int = getattr(subprocess, "CREATE_NO_WINDOW", 0)

_LISTED = {
    "win32": ("pnputil", "/enum-devices", "/connected"),
    "darwin": ("system_profiler", "SPUSBDataType", "-detailLevel", "mini"),
}
_WINDOWS = re.compile(r"USB\\VID_([0-9A-F]{4})&PID_([0-9A-F]{4})", re.IGNORECASE)
_MACOS = re.compile(r"Product ID: 0x([0-9a-f]{4})\s+Vendor ID: 0x([0-9a-f]{4})", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z0-9]{3,}")
#: Words in the names of readers of every make.
_PLAIN = frozenset({"smart", "card", "reader", "usb", "readers", "contact", "lecteur", "inc", "ltd"})


class UsbDevice(msgspec.Struct, frozen=True, kw_only=True):
    """A USB device that is plugged in.

    Attributes:
        vendor: four hexadecimal digits.
        product: likewise.
        label: what it calls itself, with its maker; empty where the system does not tell.
        classes: of its interfaces, two hexadecimal digits each; empty where the system does not tell.
        drivers: kernel drivers of its interfaces, likewise.
    """

    vendor: str
    product: str
    label: str = ""
    classes: frozenset[str] = frozenset()
    drivers: frozenset[str] = frozenset()


class KnownDevice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry of ``usb_devices.toml``, which says what its members mean."""

    vendor: str
    name: str
    kind: Literal["pcsc", "galss", "nfc", "imager"]
    source: str
    product: str = ""

    def fits(self, device: UsbDevice) -> bool:
        """True if a device is meant."""
        return self.vendor == device.vendor and self.product in {"", device.product}


@cache
def known_devices() -> tuple[KnownDevice, ...]:
    """The table; entries with a product come before those of a whole maker."""
    text = resources.files("vitale_reader.diagnosis.desk").joinpath("usb_devices.toml").read_text("utf-8")
    found = msgspec.convert(tomllib.loads(text)["device"], tuple[KnownDevice, ...])
    return tuple(sorted(found, key=lambda one: not one.product))


def look(machine: InspectedMachine, shown: Collection[str] | None) -> Iterator[CheckResult]:
    """Looks at the devices.

    Args:
        machine: the one that is looked at.
        shown: the names of the readers that PC/SC shows; None where it could not be asked.
    """
    for device in plugged(machine):
        if row := _row(device, shown):
            yield row


def plugged(machine: InspectedMachine) -> tuple[UsbDevice, ...]:
    """USB devices that are plugged in now; none where the system does not tell."""
    if machine.system == "linux":
        return tuple(_of_linux(machine))
    program, *words = _LISTED.get(machine.system, ("",))
    if not program:
        return ()
    try:
        done = subprocess.run(
            (system_program(program), *words),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LIMIT,
            check=False,
            creationflags=WITHOUT_WINDOW,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    text = done.stdout.decode(errors="replace")
    return of_windows(text) if machine.system == "win32" else of_macos(text)


def of_windows(text: str) -> tuple[UsbDevice, ...]:
    """Devices in a list of ``pnputil``; each has an instance id for itself and for each interface."""
    found = {(vendor.lower(), product.lower()) for vendor, product in _WINDOWS.findall(text)}
    return tuple(UsbDevice(vendor=vendor, product=product) for vendor, product in sorted(found))


def of_macos(text: str) -> tuple[UsbDevice, ...]:
    """Devices in a report of ``system_profiler``."""
    found = [(vendor.lower(), product.lower()) for product, vendor in _MACOS.findall(text)]
    return tuple(UsbDevice(vendor=vendor, product=product) for vendor, product in found)


def _of_linux(machine: InspectedMachine) -> Iterator[UsbDevice]:
    for folder in machine.folders("/sys/bus/usb/devices"):
        vendor, product = machine.text(folder / "idVendor"), machine.text(folder / "idProduct")
        if vendor and product:
            # Its interfaces are folders in it: "1-2:1.0".
            interfaces = sorted(folder.glob(f"{folder.name}:*"))
            yield UsbDevice(
                vendor=vendor,
                product=product,
                label=" ".join(filter(None, (machine.text(folder / "manufacturer"), machine.text(folder / "product")))),
                classes=frozenset(machine.text(one / "bInterfaceClass") for one in interfaces),
                drivers=frozenset((one / "driver").resolve().name for one in interfaces if (one / "driver").exists()),
            )


def _row(device: UsbDevice, shown: Collection[str] | None) -> CheckResult | None:
    known = next((one for one in known_devices() if one.fits(device)), None)
    if known is None and SMART_CARD not in device.classes:
        return None
    name = device.label or (known.name if known else "")
    values = {"name": name, "number": f"{device.vendor}:{device.product}", "source": known.source if known else ""}
    if taken := device.drivers & KERNEL_DRIVERS:
        return CheckResult(id="usb_kernel", subject="usb", state="wrong", values=values | {"module": min(taken)})
    kind = known.kind if known else "pcsc"
    if kind == "imager" and HUMAN_INTERFACE in device.classes and COMMUNICATION not in device.classes:
        return CheckResult(id="usb_keyboard", subject="usb", state="note", values=values)
    # An NFC reader may be one of the driver nfc, and PC/SC that was not asked shows nothing.
    if kind in {"pcsc", "galss"} and shown is not None and not _is_shown(device, known, shown):
        return CheckResult(
            id="usb_galss" if kind == "galss" else "usb_unshown", subject="usb", state="wrong", values=values
        )
    return CheckResult(id="usb_shown", subject="usb", state="ok", values=values)


def _is_shown(device: UsbDevice, known: KnownDevice | None, shown: Collection[str]) -> bool:
    """True if a PC/SC reader's name shares a word with the device's; PC/SC tells no USB ids."""
    words = _words(f"{device.label} {known.name if known else ''}")
    return any(words & _words(name) for name in shown)


def _words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)} - _PLAIN
