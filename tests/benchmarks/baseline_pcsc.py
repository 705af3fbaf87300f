"""The baseline of every promise of latency: the same card read by bare pyscard, with nothing of ours in between.

``baseline_pcsc.py READER COUNT`` prints one JSON list, the seconds of each reading. It is what a
programmer writes in an afternoon from the published sequence (SELECT the master file, READ BINARY by short file
identifier, SELECT VITALE, READ BINARY): connect, exchange, disconnect.

With ``exchange`` as a third argument it is the seconds of each of so many exchanges (SELECT the master file) over one
connection, which is the baseline of a lease.
"""

import json
import sys
import time

from smartcard.CardConnection import CardConnection
from smartcard.System import readers

__all__ = ["exchange", "main", "read_once"]

SELECT_MASTER_FILE = [0x00, 0xA4, 0x00, 0x00, 0x02, 0x3F, 0x00]
SELECT_VITALE = [0x00, 0xA4, 0x04, 0x00, 0x0B, *b"\xd2\x50\x00\x00\x02VITALE"]
READ_SHORT_FILE_2 = [0x00, 0xB0, 0x82, 0x00, 0x00]


def read_once(connection: CardConnection) -> int:
    """Reads the clear zone once; returns how many bytes it gave."""
    connection.connect(CardConnection.T0_protocol)
    total = 0
    for command in (SELECT_MASTER_FILE, READ_SHORT_FILE_2, SELECT_VITALE, READ_SHORT_FILE_2):
        data, sw1, sw2 = connection.transmit(command)
        if sw1 == 0x6C:
            data, sw1, sw2 = connection.transmit([*command[:4], sw2])
        if sw1 == 0x61:
            data, sw1, sw2 = connection.transmit([0x00, 0xC0, 0x00, 0x00, sw2])
        if (sw1, sw2) != (0x90, 0x00):
            raise RuntimeError(f"the card answered {sw1:02X}{sw2:02X}")
        total += len(data)
    connection.disconnect()
    return total


def exchange(connection: CardConnection, count: int) -> list[float]:
    """Exchanges one command ``count`` times; returns the seconds of each."""
    connection.connect(CardConnection.T0_protocol)
    seconds: list[float] = []
    for _ in range(count):
        before = time.perf_counter()
        connection.transmit(SELECT_MASTER_FILE)
        seconds.append(time.perf_counter() - before)
    connection.disconnect()
    return seconds


def main(reader: str, count: int, what: str = "read") -> None:
    """Reads or exchanges ``count`` times and prints the seconds of each."""
    found = next(one for one in readers() if str(one) == reader)
    if what == "exchange":
        json.dump(exchange(found.createConnection(), count), sys.stdout)
        return
    seconds: list[float] = []
    for _ in range(count):
        connection = found.createConnection()
        before = time.perf_counter()
        read_once(connection)
        seconds.append(time.perf_counter() - before)
    json.dump(seconds, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
