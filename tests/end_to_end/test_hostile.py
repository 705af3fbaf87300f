"""Ten thousand malformed messages, card answers and TLVs: only catalogue errors, no traceback, bounded memory."""

import json
import os
import random
import socket
import ssl
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.posix import posix_only
from vitale_drivers.cards.channel import Channel
from vitale_firmware_sim.card.card import Card
from vitale_firmware_sim.card.images import load_image
from vitale_protocol import media
from vitale_protocol.catalogue import reasons
from vitale_protocol.errors import VitaleError

pytestmark = posix_only()
assert sys.platform != "win32"

COUNT = 10_000
#: Of what no process is asked, a part in the suite.
MANY = pytest.mark.parametrize("count", [COUNT // 5, pytest.param(COUNT, marks=pytest.mark.soak)])
MEBIBYTE = 1_048_576
NONCE = "n" * 22

VALID: tuple[dict[str, Any], ...] = (
    {"jsonrpc": "2.0", "id": 1, "method": "session.ping", "params": {}},
    {"jsonrpc": "2.0", "id": "a", "method": "presentation.request", "params": {"nonce": NONCE, "timeout_ms": 1000}},
    {"jsonrpc": "2.0", "id": 2, "method": "presentation.cancel", "params": {"request": "a"}},
    {"jsonrpc": "2.0", "id": 3, "method": "outbox.ack", "params": {"jti": ["x"]}},
    {"jsonrpc": "2.0", "id": 4, "method": "clients.revoke", "params": {"client_id": "x"}},
    {"jsonrpc": "2.0", "id": 5, "method": "clients.add", "params": {"name": "x", "scopes": [], "transports": []}},
)
VALUES: tuple[Any, ...] = (None, True, -1, 2**70, 1e308, "", "\x00", "é" * 300, [], {}, [[[[]]]], {"a": {"a": {}}}, "a")
JUNK = (b"{", b"}", b"[", b'"', b"\\u0000", b"\xff", b"\xed\xa0\x80", b"1e999", b"NaN", b" ", b",", b"[" * 40, b"{}")


def mutated(chance: random.Random) -> bytes:
    """A valid message that something happened to; never a line feed within, so that each is one message."""
    message = json.loads(json.dumps(chance.choice(VALID)))
    where = chance.choice([message, message["params"]])
    match chance.randrange(4):
        case 0:
            where.pop(chance.choice(sorted(where)) if where else "", None)
        case 1:
            where[chance.choice([*where, "unknown"])] = chance.choice(VALUES)
        case _:
            pass
    line = bytearray(json.dumps([message] * chance.choice([1, 2]) if chance.random() < 0.1 else message).encode())
    for _ in range(chance.choice([0, 1, 1, 2, 5])):
        at = chance.randrange(len(line) + 1)
        if chance.random() < 0.5:
            line[at:at] = chance.choice(JUNK)
        else:
            del line[at : at + chance.randrange(1, 8)]
    return bytes(line).replace(b"\n", b" ")


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def answers(connection: socket.socket) -> Iterator[Any]:
    buffer = b""
    while data := connection.recv(65_536):
        *lines, buffer = (buffer + data).split(b"\n")
        for line in lines:
            answer = json.loads(line)
            yield from answer if isinstance(answer, list) else [answer]


def test_malformed_messages_to_a_daemon(start_daemon: Any) -> None:
    daemon = start_daemon(driver="simulated-card", options="present = false")
    pid = daemon.endpoints.pid
    chance = random.Random(7816)
    known = set(reasons())
    with socket.socket(socket.AF_UNIX) as hostile:
        hostile.settimeout(60)
        hostile.connect(daemon.endpoints.unix)
        hostile.sendall(
            b'{"jsonrpc":"2.0","id":0,"method":"session.open","params":{"protocol":[1],"client":{"name":"x"}}}\n'
        )
        told = answers(hostile)
        assert "result" in next(told)
        before, refused = 0, 0
        for block in range(COUNT // 100):
            hostile.sendall(b"".join(mutated(chance) + b"\n" for _ in range(100)))
            last = f"ping-{block}"
            hostile.sendall(json.dumps({"jsonrpc": "2.0", "id": last, "method": "session.ping"}).encode() + b"\n")
            for answer in told:
                if answer.get("id") == last:
                    break
                if "error" in answer:
                    refused += 1
                    assert answer["error"]["data"]["reason"] in known
                    assert answer["error"]["code"] != -32603, "an internal error: a fault of ours"
            if block == 10:
                before = resident(pid)
        assert refused > COUNT // 2
        assert resident(pid) - before < 16 * MEBIBYTE
    assert "Traceback" not in daemon.log
    assert "incident" not in daemon.log


@pytest.mark.parametrize(
    "junk",
    [b"\x16\x03\x01\x00\x00", b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 4096, b"A" * 100_000, b""],
    ids=["tls", "http", "zeros", "letters", "nothing"],
)
def test_strangers_on_the_tls_port_are_hung_up_on(start_daemon: Any, junk: bytes) -> None:
    daemon = start_daemon(driver="simulated-card")
    tls = daemon.endpoints.tls
    with socket.create_connection((tls.host, tls.port), timeout=60) as stranger:
        try:
            stranger.sendall(junk)
            stranger.shutdown(socket.SHUT_WR)
            while stranger.recv(65_536):
                pass
        except OSError:
            pass  # hung up on in the middle of it
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with daemon.connect() as reader:
        assert reader.ping() > 0
    assert "Traceback" not in daemon.log


def read(transmit: Callable[[bytes], bytes]) -> dict[str, bytes]:
    """Runs the reading script through the drivers' channel."""
    return Channel(transmit, rest=lambda _: None).run(media.reading_script(load_image("famille").atr))


@MANY
def test_malformed_card_answers(count: int) -> None:
    chance = random.Random(2)
    card = Card(load_image("famille"))
    outcomes: set[str] = set()
    spoilt = 0

    def answer(command: bytes) -> bytes:
        nonlocal spoilt
        good = bytearray(card.transmit(command))
        if chance.random() < 0.6:
            return bytes(good)
        spoilt += 1
        match chance.randrange(4):
            case 0:
                return chance.randbytes(chance.randrange(300))
            case 1:
                del good[chance.randrange(len(good)) : -2]
            case 2:
                good[chance.randrange(len(good))] ^= 1 << chance.randrange(8)
            case _:
                good[-2:] = chance.choice(
                    [b"\x6a\x82", b"\x69\x82", b"\x6f\x00", b"\x62\x82", b"\x00\x00", b"\x61\xff"]
                )
        return bytes(good)

    tracemalloc.start()
    while spoilt < count:
        card.reset()
        try:
            media.interpret("vitale-card", read(answer), simulated=True)
            outcomes.add("read")
        except VitaleError as error:
            outcomes.add(error.reason)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert outcomes == {"read", "medium_unreadable"}
    assert peak < 8 * MEBIBYTE


@MANY
def test_malformed_tlvs(count: int) -> None:
    chance = random.Random(3)
    evidence = read(Card(load_image("famille")).transmit)
    outcomes: set[str] = set()
    for _ in range(count):
        spoilt = {name: bytearray(part) for name, part in evidence.items()}
        part = spoilt[chance.choice(sorted(spoilt))]
        for _ in range(chance.randrange(1, 6)):
            part[chance.randrange(len(part))] = chance.randrange(256)
        try:
            media.interpret("vitale-card", {name: bytes(part) for name, part in spoilt.items()}, simulated=True)
            outcomes.add("read")
        except VitaleError as error:
            outcomes.add(error.reason)
    assert outcomes == {"read", "medium_unreadable"}
