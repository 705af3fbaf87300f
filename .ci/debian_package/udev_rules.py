"""Rules for udev: who may open the NFC readers and imagers that ``doctor`` knows.

PC/SC readers are pcscd's, and have rules of its driver.
"""

from collections.abc import Iterable, Iterator

from vitale_reader.diagnosis.desk.usb import KnownDevice

__all__ = ["rules"]

#: Seats are given what is tagged by systemd's 73-seat-late.rules: the name of our file has to come before.
HEAD = """\
# Made from the devices that `vitale-reader doctor` knows. NFC readers and imagers are opened to whoever sits at the
# desk (uaccess), and to the groups that the service of the machine belongs to.
ACTION=="remove", GOTO="vitale_reader_end"
"""
FOOT = 'LABEL="vitale_reader_end"\n'

#: What the drivers open: the USB device itself, or the serial line that an imager offers.
_OF_KIND = {
    "nfc": ('SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ATTR', "plugdev"),
    "imager": ('SUBSYSTEM=="tty", SUBSYSTEMS=="usb", ATTRS', "dialout"),
}


def rules(devices: Iterable[KnownDevice]) -> str:
    """Text of the rules for devices."""
    return "\n".join([HEAD, *_lines(devices), FOOT])


def _lines(devices: Iterable[KnownDevice]) -> Iterator[str]:
    for device in devices:
        if device.kind not in _OF_KIND:
            continue
        where, group = _OF_KIND[device.kind]
        attribute = where.rpartition(", ")[2]
        product = f', {attribute}{{idProduct}}=="{device.product}"' if device.product else ""
        yield f"# {device.name}"
        yield f'{where}{{idVendor}}=="{device.vendor}"{product}, GROUP="{group}", MODE="0660", TAG+="uaccess"\n'
