"""The baseline of the driver ``nfc``: phones read with nfcpy and nothing else, for ``make bench``.

``baseline_nfc.py WAY PATH AID`` reads whatever comes onto a PN532 on a serial line, and says so on
standard output, a word a line: ``ready``, then for each tap ``read`` and, once the phone has left, ``gone``. The ways:

- ``connect``: ``ContactlessFrontend.connect()`` with its defaults, as nfcpy's documentation shows it;
- ``connect-20``: the same, looking every 20 ms;
- ``chip``: a loop on the chip's own ISO-DEP, one command for each APDU, and nothing around it.
"""

import logging
import sys
from typing import NoReturn

import nfc
from nfc.clf import pn53x, pn532, transport
from nfc.tag import tt4

__all__ = ["main"]

INTERVAL = 0.02

_GET_DATA = bytes.fromhex("00CA005E00")


def main(arguments: list[str]) -> NoReturn:
    """Reads by the way of the first argument until it is ended."""
    way, path, aid = arguments
    logging.getLogger("nfc").setLevel(logging.CRITICAL)
    device = pn532.init(transport.TTY(path))
    select = _select(bytes.fromhex(aid))
    _say("ready")
    if way == "chip":
        _by_chip(device.chipset, select)
    _by_connect(device, select, {"interval": INTERVAL} if way == "connect-20" else {})


def _select(aid: bytes) -> bytes:
    return bytes((0x00, 0xA4, 0x04, 0x00, len(aid))) + aid + b"\x00"


def _by_connect(device: pn532.Device, select: bytes, options: dict[str, object]) -> NoReturn:
    def read(tag: tt4.Type4Tag) -> bool:
        for apdu in (select, _GET_DATA):
            tag.transceive(apdu)
        _say("read")
        return True  # connect() then waits for the phone to leave

    frontend = nfc.ContactlessFrontend()
    # Not by its path: nfcpy looks names up in /dev, where a pseudo-terminal is in a folder.
    frontend.device = device
    while True:
        if frontend.connect(rdwr={"on-connect": read, **options}):
            _say("gone")


def _by_chip(chip: pn53x.Chipset, select: bytes) -> NoReturn:
    chip.set_parameters(0x10)
    chip.rf_configuration(0x05, b"\xff\x01\x00")
    while True:
        found = chip.command(0x4A, b"\x01\x00", 1.0)
        if not found or not found[0]:
            continue
        for apdu in (select, _GET_DATA):
            chip.command(0x40, b"\x01" + apdu, 1.0)
        _say("read")
        while bytes(chip.command(0x00, b"\x06", 1.0) or b"") == b"\x00":
            pass
        chip.rf_configuration(0x01, b"\x02")
        _say("gone")


def _say(word: str) -> None:
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
