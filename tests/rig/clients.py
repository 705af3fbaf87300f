"""Programs at the desks of a site: good ones, one that was revoked, a thief, and one that floods.

All of them know the page of the wire, and nothing else.
"""

import base64
import json
import random
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import jwt

from tests.posix import UNIX_SOCKETS
from tests.rig.desk import Desk
from tests.rig.ledger import Ledger
from tests.rig.wire import HungUp, Refused, Schema, Wire, verify

__all__ = ["Client", "Pairing", "Pairings", "flood"]

Json = dict[str, Any]

#: What a client may be refused with while everything is in trouble; anything else is a fault.
EXPECTED = frozenset(
    {
        *("timeout", "cancelled", "reader_gone", "no_reader", "reader_unavailable", "reader_busy", "replayed"),
        *("medium_removed", "medium_mute", "medium_unreadable", "ambiguous_medium"),
        *("store_unavailable", "shutting_down", "limit_exceeded", "not_authenticated"),
    }
)
#: Seconds beyond its own time after which an answer is overdue, on a machine that is busy with a whole site.
GRACE = 60.0
#: How often a key is asked for that is not told.
KEYS = 200


class Pairing(NamedTuple):
    """A program, and the secrets that it got when it was paired."""

    client_id: str
    credential: str | None
    certificate: Path | None = None
    desk: int = 0


class Pairings:
    """Pairs programs at the desks, as an administrator."""

    def __init__(self, desks: Sequence[Desk], schema: Schema, folder: Path) -> None:
        self._desks = desks
        self._schema = schema
        self._folder = folder

    def unix(self, desk: int = 0) -> Pairing:
        """A program that comes by the Unix socket, at any desk."""
        told = self._add(desk, "unix")
        return Pairing(told["client_id"], told["credential"])

    def tls(self, desk: int) -> Pairing:
        """A program that comes by TLS, at the desk that it was paired at."""
        told = self._add(desk, "tls")
        file = self._folder / f"{told['client_id']}.pem"
        file.write_text(told["certificate"] + told["private_key"])
        file.with_suffix(".pin").write_text(told["daemon_certificate_sha256"])
        return Pairing(told["client_id"], None, file, desk)

    def revoke(self, desk: int, client_id: str) -> bool:
        """Revokes a program; true if the desk said that it is."""
        with Wire(self._desks[desk].endpoint.unix(), self._schema).open() as wire:
            return bool(wire.call("clients.revoke", client_id=client_id)["revoked"])

    def rotate(self, desk: int) -> None:
        """A new signing key of a desk."""
        with Wire(self._desks[desk].endpoint.unix(), self._schema).open() as wire:
            wire.call("keys.rotate")

    def _add(self, desk: int, transport: str) -> Json:
        with Wire(self._desks[desk].endpoint.unix(), self._schema).open() as wire:
            return wire.call("clients.add", name="rig", scopes=["identity", "payload"], transports=[transport])


class Client:
    """A good program: it asks, submits, lists, acknowledges and hangs up, in many sessions, and verifies all it gets.

    Args:
        pairing: who it is.
        desks: those of the site.
        schema: of the wire.
        ledger: where it keeps its accounts.
        strings: strings that every program submits, so that they meet.
        seed: of what it does.
    """

    def __init__(
        self,
        pairing: Pairing,
        desks: Sequence[Desk],
        schema: Schema,
        ledger: Ledger,
        strings: Sequence[str],
        seed: int,
    ) -> None:
        self.pairing = pairing
        self._desks = desks
        self._schema = schema
        self._ledger = ledger
        self._strings = strings
        self._chance = random.Random(seed)
        self._jwks: Json = {"keys": []}
        self._stations: list[str] = []

    def run(self, stopped: threading.Event) -> None:
        """Lives until it is told to stop."""
        while not stopped.wait(self._chance.uniform(0, 0.1)):
            try:
                with self.session() as wire:
                    for _ in range(self._chance.randint(1, 12)):
                        if stopped.wait(self._chance.uniform(0, 0.1)):
                            return
                        self._act(wire)
            except Refused as refused:
                self._refused(refused)
            except TimeoutError:
                self._ledger.fault("no answer")
            except jsonschema.ValidationError as error:
                self._ledger.fault(f"not as the schema says: {error.json_path}: {error.message[:100]}")
            except (HungUp, OSError):
                self._ledger.note("hung up on")
                stopped.wait(0.2)

    def session(self, desk: int | None = None) -> Wire:
        """A session at a desk, at any if none is named, at its own where it comes by TLS."""
        pairing = self.pairing
        if pairing.certificate is not None:
            line = self._desks[pairing.desk].endpoint.tls(pairing.certificate)
            return Wire(line, self._schema, pairing.desk).open()
        number = self._chance.randrange(len(self._desks)) if desk is None else desk
        return Wire(self._desks[number].endpoint.unix(), self._schema, number).open(pairing.credential)

    # ── what it does ──

    def _act(self, wire: Wire) -> None:
        acts = (self._submit, self._submit_shared, self._ask, self._ask_elsewhere, self._leave, self.list, self._steal)
        (act,) = self._chance.choices(acts, (40, 10, 15, 15, 5, 12, 3))
        try:
            act(wire)
        except Refused as refused:
            self._refused(refused)

    def _submit(self, wire: Wire) -> None:
        self._present(wire, "VITALESIM." + self._chance.randbytes(12).hex())

    def _submit_shared(self, wire: Wire) -> None:
        self._present(wire, self._chance.choice(self._strings))

    def _present(self, wire: Wire, string: str) -> None:
        nonce = self._nonce(string)
        self._take(wire, wire.call("presentation.submit", nonce=nonce, payload=string, progress=False, within=GRACE))

    def _ask(self, wire: Wire) -> None:
        timeout = self._chance.choice((1.0, 2.0))
        wish = {"nonce": self._nonce(), "timeout_ms": int(timeout * 1000), "media": ["vitale-card"]}
        self._take(wire, wire.call("presentation.request", within=timeout + GRACE, **wish))

    def _ask_elsewhere(self, wire: Wire) -> None:
        found = [one["id"] for one in wire.call("readers.list")["readers"] if one.get("station")]
        if not found:
            self._ledger.note("no other desk seen")
            return
        timeout = self._chance.choice((2.0, 4.0))
        wish = {"nonce": self._nonce(), "timeout_ms": int(timeout * 1000), "readers": [self._chance.choice(found)]}
        self._take(wire, wire.call("presentation.request", within=timeout + GRACE, **wish))

    def _leave(self, wire: Wire) -> None:
        """Hangs up before the answer: the token has to be in the outbox, if there is one."""
        string = "VITALESIM." + self._chance.randbytes(12).hex()
        wire.send("presentation.submit", nonce=self._nonce(string), payload=string, progress=False)
        raise HungUp

    def list(self, wire: Wire, *, quiet: bool = False) -> set[str]:
        """Reads its whole outbox, verifies what it did not have yet, acknowledges some; what was listed.

        When all is quiet, nothing is listed that was acknowledged at another desk either.
        """
        found: dict[str, str] = {}
        page: Json = {}
        acknowledged = self._ledger.acknowledged(None if quiet else wire.desk)
        while True:
            answer = wire.call("outbox.list", limit=500, **page)
            found |= {one["jti"]: one["token"] for one in answer["tokens"]}
            if "more" not in answer:
                break
            page = {"after": answer["more"]}
        self._ledger.listed(wire.desk, found, acknowledged)
        unknown = found.keys() - self._ledger.known()
        for jti in unknown:
            self._ledger.give(self.pairing.client_id, self._claims(wire, found[jti]), found[jti])
            self._ledger.note("found in the outbox")
        for jti in sorted(found)[: self._chance.randint(0, 3)]:
            self._acknowledge(wire, jti)
        return set(found)

    def _acknowledge(self, wire: Wire, jti: str) -> None:
        self._ledger.release(jti)
        if wire.call("outbox.ack", jti=[jti])["acked"] == 1:
            self._ledger.acknowledge(jti, wire.desk)

    def _steal(self, wire: Wire) -> None:
        """Acknowledges what is another's: whatever it is told, the others still find theirs."""
        if others := self._ledger.of_others(self.pairing.client_id):
            wire.call("outbox.ack", jti=others)
            self._ledger.note("tried to take another's")

    # ── what it gets ──

    def _take(self, wire: Wire, result: Json) -> None:
        claims = self._claims(wire, result["token"])
        if claims != result["claims"]:
            self._ledger.fault(f"{claims['jti']}: other claims than the token's")
        self._ledger.give(self.pairing.client_id, claims, result["token"], presentation=str(result["presentation"]))
        self._ledger.note("degraded" if "store_degraded" in claims.get("warnings", ()) else "whole")
        if self._chance.random() < 0.5:
            self._acknowledge(wire, claims["jti"])

    def _claims(self, wire: Wire, token: str) -> Json:
        """The claims of a token, as soon as the desk tells the key: that of a desk whose row is altered is not told."""
        pause = threading.Event()
        for _ in range(KEYS):
            try:
                return self._verified(token)
            except KeyError:
                self._jwks = wire.call("station.keys")["jwks"]
                self._ledger.note("asked for keys")
                pause.wait(0.1)
        return self._verified(token)

    def _verified(self, token: str) -> Json:
        try:
            return verify(token, jwks=self._jwks, client_id=self.pairing.client_id, now=time.time())
        except jwt.InvalidTokenError as error:
            self._ledger.fault(f"a token that does not verify: {error!r}")
            return dict(jwt.decode(token, options={"verify_signature": False}))

    def _nonce(self, string: str = "") -> str:
        nonce = base64.urlsafe_b64encode(self._chance.randbytes(18)).decode()
        self._ledger.ask(self.pairing.client_id, nonce, string)
        return nonce

    def _refused(self, refused: Refused) -> None:
        self._ledger.note(f"refused: {refused.reason}")
        if refused.reason not in EXPECTED:
            self._ledger.fault(f"refused with {refused.reason}: {refused.data}")


# ── one that floods ──────────────────────────────────────────────────────────────────────────────────────────────


def flood(path: str, credential: str, seconds: float, seed: int) -> None:
    """Sends a daemon what it may like least, one kind after the other, without reading much of the answers."""
    chance = random.Random(seed)
    end = time.monotonic() + seconds
    kinds = (_calls, _brackets, _rubbish, _openings)
    while time.monotonic() < end:
        try:
            with socket.socket(UNIX_SOCKETS) as line:
                line.settimeout(0.5)
                line.connect(path)
                chance.choice(kinds)(line, credential, chance)
        except OSError:
            threading.Event().wait(0.05)


def _said(number: int, method: str, params: Json) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode() + b"\n"


def _opened(line: socket.socket, credential: str) -> None:
    client = {"name": "flood"}
    line.sendall(_said(1, "session.open", {"protocol": [1], "client": client, "credential": credential}))
    line.recv(65_536)


def _calls(line: socket.socket, credential: str, chance: random.Random) -> None:
    _opened(line, credential)
    submitted = {"nonce": "n" * 24, "payload": "mdoc:x"}
    method, params = chance.choice(
        (("presentation.submit", submitted), ("outbox.list", {}), ("session.ping", {}), ("station.info", {}))
    )
    data = b"".join(_said(number, method, params) for number in range(200))
    for _ in range(20):
        line.sendall(data)
        line.recv(65_536)


def _brackets(line: socket.socket, credential: str, chance: random.Random) -> None:
    if chance.random() < 0.5:
        _opened(line, credential)
    line.sendall(b"[" + b"[]," * 300_000 + b"[]]\n")
    line.recv(65_536)


def _rubbish(line: socket.socket, credential: str, chance: random.Random) -> None:
    if chance.random() < 0.5:
        _opened(line, credential)
    good = bytearray(_said(2, "presentation.request", {"nonce": "n" * 24, "timeout_ms": 1000}))
    for _ in range(200):
        spoilt = bytearray(good)
        for _ in range(chance.randint(1, 8)):
            spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
        line.sendall(bytes(spoilt) + b"\n")
    line.recv(65_536)


def _openings(line: socket.socket, credential: str, chance: random.Random) -> None:
    _opened(line, credential if chance.random() < 0.5 else "wrong")


if __name__ == "__main__":
    flood(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4]))
