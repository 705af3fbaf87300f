"""The serial ports of Linux and the programs that have them; the driver ``scanner`` lists those of other systems."""

from collections.abc import Iterator
from pathlib import Path

from vitale_protocol.diagnosis.check_results import CheckResult
from vitale_reader.daemon.workers.holders import find_holders
from vitale_reader.diagnosis.machine import InspectedMachine

__all__ = ["look"]


def look(machine: InspectedMachine, ours: frozenset[int]) -> Iterator[CheckResult]:
    """Looks at the ports.

    Args:
        machine: the one that is looked at.
        ours: processes of this station's own daemon.
    """
    for folder in machine.folders("/sys/class/tty"):
        # Only what has a device behind it, and no port of the mainboard that nothing is known of.
        device = (folder / "device").resolve()
        if not (folder / "device").exists() or device.name.startswith("serial8250"):
            continue
        node = f"/dev/{folder.name}"
        usb = next((above for above in (device, *device.parents) if (above / "idVendor").exists()), None)
        if usb is None and not folder.name.startswith(("ttyUSB", "ttyACM")):
            continue
        values = {"name": node, "product": _product(machine, usb)}
        holders = find_holders(node, ours, machine.at("/proc"))
        if holders:
            values |= {"holder": ", ".join(holders)}
            yield CheckResult(id="serial_held", subject="serial", state="note", values=values)
        else:
            yield CheckResult(id="serial_port", subject="serial", state="ok", values=values)


def _product(machine: InspectedMachine, usb: Path | None) -> str:
    if usb is None:
        return "–"
    names = (machine.text(usb / "manufacturer"), machine.text(usb / "product"))
    number = f"{machine.text(usb / 'idVendor')}:{machine.text(usb / 'idProduct')}"
    return " ".join(filter(None, (*names, f"({number})")))
