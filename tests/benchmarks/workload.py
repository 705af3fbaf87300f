"""The work that the yardstick counts, always the same: ``python -P workload.py ITEM FOLDER COUNT``.

It prints the milliseconds of the processor that this process took. ``prepare`` first puts into the folder what the
others work on. Nothing is imported before it is used: what is not of an item does not count for it.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vitale_drivers.base import Presented
    from vitale_reader.daemon.issuing.issuer import Grant, Issuer
    from vitale_reader.daemon.keystore.station_keys import Keys

NOW = 1_800_000_000.0
NONCE = "n" * 22
CLIENT = "c-yardstick"
MOST_TOKENS = 1_100
KINDS = ("plain", "blur", "perspective", "dark_mode")
SIZE = (640, 480)

CONFIGURATION = '[station]\nmode = "simulated"\n[drivers]\nenabled = []\n[tls]\nport = 0\n'

#: A client of its own process, which is not counted: one line out, one line in.
PINGS = """
import socket, sys
line = socket.socket(socket.AF_UNIX)
line.connect(sys.argv[1])
answers = line.makefile("rb")
def ask(method, params):
    line.sendall(b'{"jsonrpc":"2.0","id":1,"method":"%s","params":%s}\\n' % (method, params))
    answers.readline()
ask(b"session.open", b'{"protocol":[1],"client":{"name":"yardstick"}}')
for _ in range(int(sys.argv[2])):
    ask(b"session.ping", b"{}")
"""


def prepare(folder: Path, _count: int) -> None:
    """Makes the keys of a station, tokens, and pictures with and without codes."""
    import json

    import numpy as np

    from vitale_firmware_sim.camera.picture import empty_scenes, scenes

    issue, jwks = _issuer(folder)
    tokens = [issue() for _ in range(MOST_TOKENS)]
    (folder / "tokens.json").write_text(json.dumps({"jwks": jwks, "tokens": tokens}), "utf-8")
    frames = [frame for kind in KINDS for frame in scenes(kind, "medium", 1, seed=11, size=SIZE)]
    for number, frame in enumerate((*frames, *empty_scenes(1, seed=11, size=SIZE))):
        np.save(folder / f"{number}.npy", np.asarray(frame.picture))
    start(folder, 1)


def start(folder: Path, count: int) -> None:
    """A daemon until it serves, with the keys that it has."""
    if count:
        import asyncio

        asyncio.run(_serve(folder, None))


def ping(folder: Path, count: int) -> None:
    """So many ``session.ping`` of one client, which the daemon answers."""
    import asyncio

    asyncio.run(_serve(folder, count))


async def _serve(folder: Path, pings: int | None) -> None:
    from vitale_reader.daemon.app import running
    from vitale_reader.daemon.config import parse
    from vitale_reader.daemon.fairness import processor_shares
    from vitale_reader.daemon.fairness.token_buckets import Rate
    from vitale_reader.home import Home

    # Under valgrind a client would use up its share, and wait as often as the machine is slow.
    processor_shares.CLIENT_SHARE = Rate(1e9, 1e9)
    async with running(Home.under(folder / "home"), parse(CONFIGURATION)) as endpoints:
        if pings is not None:
            import asyncio
            import gc
            import subprocess

            gc.freeze()  # as `vitale-reader serve` does once it serves
            command = (sys.executable, "-c", PINGS, endpoints.unix or "", str(pings))
            await asyncio.to_thread(subprocess.run, command, check=True)


def token(folder: Path, count: int) -> None:
    """So many tokens of one card: read, signed, kept with their line in the audit trail, acknowledged."""
    import asyncio

    asyncio.run(_tokens(folder, count))


async def _tokens(folder: Path, count: int) -> None:
    import gc

    from vitale_reader.daemon.issuing.outbox import Outbox
    from vitale_reader.daemon.keystore.station_keys import DeskClock, Keys
    from vitale_reader.daemon.store.audit_trail.chain import Chain
    from vitale_reader.daemon.store.audit_trail.entries import AuditEntry
    from vitale_reader.daemon.store.clock import StoreClock
    from vitale_reader.daemon.store.local_anchor import Remembered
    from vitale_reader.daemon.store.store import Store

    keys = Keys(folder / "station.json", overlap=600, clock=DeskClock(lambda: NOW))
    keys.open()
    file = folder / "tokens.db"
    for part in folder.glob("tokens.db*"):
        part.unlink()
    store, chain = Store(file), Chain(keys.vault, keys.station)
    await store.open()
    await store.run(lambda connection: chain.begin(connection, at=NOW))
    outbox = Outbox(store, keys.vault, chain, clock=StoreClock(Remembered(), wall=lambda: NOW, steady=lambda: NOW))
    presented, issuer, grant = _parts(keys)
    gc.freeze()  # as `vitale-reader serve` does: else one collection of all that was loaded counts for these tokens
    for number in range(count):
        issued = issuer.issue(presented, issuer.interpret(presented), "simulated-card", grant)
        entry = AuditEntry(
            at=NOW,
            action="presentation.request",
            outcome="ok",
            client_id=CLIENT,
            medium=presented.medium,
            reader=presented.reader,
            jti=issued.token.jti,
        )
        await outbox.put(issued.token, client_id=CLIENT, presentation=str(number), entry=entry)
        await outbox.acknowledge(CLIENT, [issued.token.jti])
    await store.close()


def verify(folder: Path, count: int) -> None:
    """So many tokens, verified by the SDK."""
    import json

    import vitale_reader

    made = json.loads((folder / "tokens.json").read_text("utf-8"))
    for one in made["tokens"][:count]:
        vitale_reader.verify(one, jwks=made["jwks"], audience=CLIENT, nonce=NONCE, now=NOW)


def decode(folder: Path, count: int) -> None:
    """The pictures, so many times, with all that can be seen in each."""
    _decode(folder, count, first=False)


def first(folder: Path, count: int) -> None:
    """The pictures, so many times, until a code of each is read."""
    _decode(folder, count, first=True)


def _decode(folder: Path, count: int, *, first: bool) -> None:
    import math

    import cv2
    import numpy as np

    from vitale_drivers.decoding import decode as decoded

    cv2.setNumThreads(1)
    pictures = [np.load(file) for file in sorted(folder.glob("*.npy"))]
    for _ in range(count):
        for picture in pictures:
            # Without a limit of time: under valgrind it would end after the first stages.
            decoded(picture, budget_ms=math.inf, first=first)


def show_help(_folder: Path, count: int) -> None:
    """``vitale-reader --help``."""
    if count:
        import contextlib
        import io

        from vitale_reader.cli import main

        sys.argv = ["vitale-reader", "--help"]
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
            main()


# ── a station ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _parts(keys: "Keys") -> "tuple[Presented, Issuer, Grant]":
    from vitale_drivers.base import Presented
    from vitale_drivers.cards.channel import Channel
    from vitale_firmware_sim.card.card import Card
    from vitale_firmware_sim.card.images import load_image
    from vitale_protocol.media import reading_script
    from vitale_reader.daemon.issuing.issuer import Grant, Issuer

    card = Card(load_image("adulte"))
    evidence = Channel(card.transmit, t0=True).run(reading_script(card.reset()))
    presented = Presented(id="1", medium="vitale-card", reader="r", at=NOW, evidence=evidence, simulated=True)
    numbers = iter(range(1 << 32))
    issuer = Issuer(
        keys,
        mode="simulated",
        lifetime=120,
        clock=lambda: NOW,
        random_bytes=lambda size: next(numbers).to_bytes(size, "big"),
    )
    return presented, issuer, Grant(client_id=CLIENT, nonce=NONCE, scopes=("identity", "nir"))


def _issuer(folder: Path) -> tuple[Callable[[], str], dict[str, object]]:
    from vitale_reader.daemon.keystore.station_keys import DeskClock, Keys

    keys = Keys(folder / "station.json", overlap=600, clock=DeskClock(lambda: NOW))
    keys.open()
    presented, issuer, grant = _parts(keys)
    reading = issuer.interpret(presented)
    return lambda: issuer.issue(presented, reading, "simulated-card", grant).token.token, keys.jwks


WORK: dict[str, Callable[[Path, int], None]] = {
    "prepare": prepare,
    "start": start,
    "token": token,
    "ping": ping,
    "first": first,
    "decode": decode,
    "verify": verify,
    "help": show_help,
}

if __name__ == "__main__":
    item, place, times = sys.argv[1:]
    WORK[item](Path(place), int(times))
    print(time.process_time() * 1000)
