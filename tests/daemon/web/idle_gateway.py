"""A gateway that serves nobody: ``python -I -S idle_gateway.py PONG``. It obeys the supervisor, and loads no product.

``PONG`` is the frame that answers a ping, in hexadecimal.
"""

import sys

PING, STOP = b"\xa4type\xa4ping", b"\xa4type\xa4stop"


def main(pong: str) -> None:
    """Answers until it is told to stop, or nobody is there any more."""
    commands, reports = sys.stdin.buffer, sys.stdout.buffer
    while header := commands.read(4):
        command = commands.read(int.from_bytes(header, "big"))
        if STOP in command:
            return
        if PING in command:
            reports.write(bytes.fromhex(pong))
            reports.flush()


if __name__ == "__main__":
    main(sys.argv[1])
