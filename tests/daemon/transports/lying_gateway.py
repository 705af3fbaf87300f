"""A gateway in the hands of a test: what the test says to its port goes to the core as it is.

It is started, confined and left its sockets as the true one. A line of JSON says which channel is wanted:

- ``{"site": …}``: one is asked for; its answer is one byte, 1 or 0, and all bytes behind go to the core and back.
- ``{"open": PATH}``, ``{"connect": PATH}``: whether this process can open a file, or what a daemon's socket answers.
- ``{"say": …}``: bytes for the line to the core.
"""

import json
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path

from vitale_drivers.base import Ping, Pong, Start, Started, Stop
from vitale_drivers.host.confinement import confine
from vitale_drivers.host.handover import hand_over, take_over
from vitale_drivers.host.worker_process import Pipe, run_and_end
from vitale_protocol.web.admission import DATAGRAM_BYTES, Asked, read_answer, write

assert sys.platform != "win32"
ASKING = threading.Lock()


def main(pipe: Pipe) -> None:
    listening: list[threading.Thread] = []
    with suppress(EOFError):
        while True:
            for command in pipe.receive():
                match command:
                    case Start(options=options, hidden=hidden):
                        confine(hidden)
                        given = {name: socket.socket(fileno=int(str(each))) for name, each in options.items()}
                        listening.append(threading.Thread(target=listen, args=(given,), daemon=True))
                        listening[-1].start()
                        pipe.send(Started(driver="gateway", media=()))
                    case Ping(id=number):
                        pipe.send(Pong(id=number))
                    case Stop():
                        return
                    case _:
                        raise AssertionError(command)


def listen(given: dict[str, socket.socket]) -> None:
    given["ipv4"].setblocking(True)
    while True:
        connection, _ = given["ipv4"].accept()
        connection.setblocking(True)
        threading.Thread(target=obey, args=(connection, given["line"]), daemon=True).start()


def obey(connection: socket.socket, line: socket.socket) -> None:
    wanted = b""
    while not wanted.endswith(b"\n"):
        wanted += connection.recv(1)
    asked = json.loads(wanted)
    if "open" in asked:
        connection.sendall(told(asked["open"]))
    elif "connect" in asked:
        connection.sendall(answered(asked["connect"]))
    elif "say" in asked:
        hand_over(line, asked["say"].encode())
    else:
        carry(connection, line, asked["site"])
    connection.close()


def told(path: str) -> bytes:
    try:
        with Path(path).open("rb"):
            return b"open"
    except OSError as error:
        return type(error).__name__.encode()


def answered(path: str) -> bytes:
    opening = {"protocol": [1], "client": {"name": "liar", "version": "1"}}
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.connect(path)
        daemon.sendall(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "session.open", "params": opening}).encode())
        daemon.sendall(b"\n")
        with daemon.makefile("rb") as answers:
            return answers.readline()


def carry(connection: socket.socket, line: socket.socket, site: str) -> None:
    with ASKING:
        line.setblocking(True)
        try:
            hand_over(line, write(Asked(number=1, site=site)))
        except ConnectionError:  # the line was cut
            connection.sendall(b"0")
            return
        datagram, channel = take_over(line, DATAGRAM_BYTES)
    connection.sendall(b"1" if read_answer(datagram).yes else b"0")
    if channel is not None:
        channel.setblocking(True)
        threading.Thread(target=pump, args=(channel, connection), daemon=True).start()
        pump(connection, channel)


def pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    run_and_end(main)
