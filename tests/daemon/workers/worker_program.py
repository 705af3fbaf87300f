"""A worker that misbehaves on request: started by the tests in the place of ``vitale_drivers.host.worker``.

Its behaviour is its second argument; it speaks the messages of ``vitale_drivers.base`` on its standard streams.
"""

import os
import signal
import sys
from pathlib import Path

from vitale_drivers.base import (
    Arm,
    Command,
    Failed,
    Health,
    HeldBy,
    OutOfReach,
    Ping,
    Pong,
    ReaderAdded,
    Report,
    Settled,
    Started,
    Stop,
    Transmit,
    Transmitted,
    WhoHolds,
)
from vitale_drivers.host.pipe import Decoder, encode
from vitale_protocol.events import Reader
from vitale_protocol.problems import Problem
from vitale_reader.daemon.process import kill

READER = Reader(id="fake:1", name="Fake", driver="fake", media=("vitale-card",), state="empty", simulated=True)


def send(report: Report) -> None:
    os.write(1, encode(report))


def tell(held: HeldBy) -> None:
    send(Failed(reader=READER.id, problem=Problem("reader_busy", detail=", ".join(held.programs))))


def start(behaviour: str, generation: int) -> None:
    if behaviour == "never starts" and generation == 0:
        return
    if behaviour == "garbage" and generation == 0:
        os.write(1, b"\xff" * 64)
        return
    if behaviour == "misconfigured":
        send(Health(state="degraded", problem=Problem("configuration_invalid", detail="drivers.options.fake.a")))
        sys.exit(78)
    media = ("vitale-card", "library-card") if behaviour == "unknown medium" else ("vitale-card",)
    send(Started(driver="fake", media=media, version="1"))
    send(ReaderAdded(reader=READER))
    send(Settled())
    if behaviour == "out of reach" and generation == 0:
        send(OutOfReach())
        send(OutOfReach())
    if behaviour.startswith("asks "):
        send(WhoHolds(id=1, device=behaviour.removeprefix("asks ")))


def main(behaviour: str, counter: Path) -> None:
    generation = len(counter.read_bytes()) if counter.exists() else 0
    counter.write_bytes(b"x" * (generation + 1))
    decoder: Decoder[Command] = Decoder(Command)
    mute = behaviour == "mute" and generation == 0
    while data := os.read(0, 65_536):
        for command in decoder.receive(data):
            match command:
                case Stop():
                    if behaviour != "deaf to stop":
                        return
                case Ping(id=number) if not mute:
                    send(Pong(id=number, stuck="SCardTransmit" if behaviour == "stuck" and generation == 0 else ""))
                case HeldBy():
                    tell(command)
                case Transmit(id=number):
                    if behaviour == "dies in transmit":
                        os.kill(os.getpid(), signal.SIGSEGV)
                    mute = behaviour == "mute once ordered" and generation == 0
                    send(Transmitted(id=number, responses=(b"\x90\x00",)))
                case Arm():
                    os.write(2, b"Corrupt JPEG data\n" * 20_000 + b"last words\n")
                    kill(os.getpid())
                case Ping():
                    pass
                case _:
                    start(behaviour, generation)


if __name__ == "__main__":
    main(sys.argv[2], Path(sys.argv[3]))
