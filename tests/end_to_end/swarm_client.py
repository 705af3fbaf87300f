"""One client of the swarm: asks, cancels, subscribes, leases and hangs up at random, with the standard library alone.

``python swarm_client.py SOCKET SEED SECONDS [READER [READER]]``: it asks and leases at the first reader, and subscribes
to both. At the end it prints one JSON object, what it was given and what
it was answered. A breach of the protocol that it sees itself is in ``faults``.
"""

import base64
import collections
import contextlib
import json
import random
import select
import socket
import sys
import time
from collections.abc import Generator
from typing import Any

assert sys.platform != "win32"

Json = dict[str, Any]

#: Seconds beyond its own time after which an answer is overdue, on a machine that is busy with dozens of programs.
GRACE = 60.0


class HungUp(Exception):
    """The daemon ended the connection."""


class Client:
    """It lives for some seconds, in many connections."""

    connection: socket.socket

    def __init__(self, path: str, seed: int, seconds: float, readers: list[str]) -> None:
        self.path = path
        self.readers = readers
        self.chance = random.Random(seed)
        self.end = time.monotonic() + seconds
        self.given: list[tuple[str, str]] = []
        self.acknowledged: list[str] = []
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.faults: list[str] = []
        self.slowest = 0.0
        self.number = 0
        self.nonces: set[str] = set()
        self.buffer = b""
        self.answers: dict[int, Json | None] = {}
        self.subscriptions: set[str] = set()

    def run(self) -> None:
        while time.monotonic() < self.end:
            try:
                self.session()
            except (HungUp, OSError):
                self.outcomes["hung up on"] += 1
        self.last()

    def last(self) -> None:
        """Asks until it is given a token, longer each time: of those who wait when a card comes, it serves one."""
        end, timeout = time.monotonic() + GRACE, 1.0
        try:
            with self.connected():
                while time.monotonic() < end:
                    answer = self.wait(self.request(timeout), timeout + GRACE)
                    self.note(answer)
                    if "result" in answer:
                        return
                    self.listen(0.2)
                    timeout *= 2
        except (HungUp, OSError):
            self.outcomes["hung up on"] += 1

    # ── one connection ──

    @contextlib.contextmanager
    def connected(self) -> Generator[None]:
        self.buffer, self.answers, self.subscriptions = b"", {}, set()
        with socket.socket(socket.AF_UNIX) as self.connection:
            self.connection.settimeout(GRACE)
            self.connection.connect(self.path)
            self.call_and_wait("session.open", {"protocol": [1], "client": {"name": "swarm"}}, GRACE)
            yield

    def session(self) -> None:
        with self.connected():
            for _ in range(self.chance.randint(1, 8)):
                if time.monotonic() >= self.end:
                    return
                acts = (self.ask, self.cancel, self.leave, self.subscribe, self.lease)
                (act,) = self.chance.choices(acts, (40, 15, 10, 20, 15 * bool(self.readers)))
                if not act():
                    return

    def ask(self) -> bool:
        timeout = self.chance.choice((1.0, 1.5))
        self.note(self.wait(self.request(timeout), timeout + GRACE))
        return True

    def cancel(self) -> bool:
        request = self.request(2.0)
        self.listen(self.chance.uniform(0, 0.2))
        self.call_and_wait("presentation.cancel", {"request": request}, GRACE)
        self.note(self.wait(request, GRACE))
        return True

    def leave(self) -> bool:
        self.request(2.0)
        self.listen(self.chance.uniform(0, 0.1))
        self.outcomes["left"] += 1
        return False

    def subscribe(self) -> bool:
        answer = self.call_and_wait("presentations.subscribe", {"nonce": self.nonce(), "media": ["vitale-card"]}, GRACE)
        name = answer["result"]["subscription"]
        self.listen(self.chance.uniform(0.1, 1.0))
        if self.chance.random() < 0.2:
            return False
        self.call_and_wait("presentations.unsubscribe", {"subscription": name}, GRACE)
        self.outcomes["subscribed"] += 1
        return True

    def lease(self) -> bool:
        ttl = self.chance.choice((100, 1000))
        wish = {"reader": self.readers[0], "previous": None, "ttl_ms": ttl}
        answer = self.call_and_wait("lease.acquire", wish, GRACE)
        self.note(answer, "leased")
        if "result" not in answer:
            return True
        lease = answer["result"]["lease"]
        for _ in range(self.chance.randint(0, 4)):
            answer = self.call_and_wait("card.transmit", {"lease": lease, "apdus": ["00A40000023F00"]}, GRACE)
            self.note(answer, "transmitted")
            if "result" not in answer:
                return True
        if self.chance.random() < 0.3:
            return False
        self.call_and_wait("lease.release", {"lease": lease}, GRACE)
        return True

    # ── what comes ──

    def note(self, answer: Json, well: str = "delivered") -> None:
        if "result" in answer:
            self.outcomes[well] += 1
            if "token" in answer["result"]:
                self.take(answer["result"])
        else:
            self.outcomes[answer["error"]["data"]["reason"]] += 1

    def take(self, result: Json) -> None:
        payload = result["token"].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        if claims["nonce"] not in self.nonces:
            self.faults.append("a token of somebody else")
        self.given.append((result["presentation"], claims["jti"]))
        if self.chance.random() < 0.5:
            answer = self.call_and_wait("outbox.ack", {"jti": [claims["jti"]]}, GRACE)
            if answer.get("result"):
                self.acknowledged.append(claims["jti"])

    def hear(self, message: Json) -> None:
        method, told = message.get("method"), message.get("params", {})
        if method == "presentation.progress":
            if told.get("request") not in self.answers and told.get("subscription") not in self.subscriptions:
                self.faults.append("progress of somebody else")
        elif method == "presentation.token":
            if told["subscription"] not in self.subscriptions:
                self.faults.append("a token of another subscription")
            self.outcomes["handed over"] += 1
            self.take(told)
        elif method in ("presentation.failed", "lease.ended"):
            self.outcomes[method] += 1
        else:
            self.faults.append(f"an event that nobody asked for: {method}")

    # ── the line ──

    def nonce(self) -> str:
        nonce = base64.urlsafe_b64encode(self.chance.randbytes(18)).decode()
        self.nonces.add(nonce)
        return nonce

    def request(self, timeout: float) -> int:
        wish = {"nonce": self.nonce(), "media": ["vitale-card"], "timeout_ms": int(timeout * 1000)}
        if self.readers:
            wish["readers"] = self.readers[:1]
        return self.call("presentation.request", wish)

    def call(self, method: str, params: Json) -> int:
        self.number += 1
        message = {"jsonrpc": "2.0", "id": self.number, "method": method, "params": params}
        self.answers[self.number] = None
        self.connection.sendall(json.dumps(message).encode() + b"\n")
        return self.number

    def call_and_wait(self, method: str, params: Json, within: float) -> Json:
        return self.wait(self.call(method, params), within)

    def wait(self, request: int, within: float) -> Json:
        began = time.monotonic()
        while (answer := self.answers[request]) is None:
            if time.monotonic() - began > within:
                self.faults.append("no answer")
                raise HungUp
            self.receive(within)
        self.slowest = max(self.slowest, time.monotonic() - began)
        del self.answers[request]
        return answer

    def listen(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.receive(left)

    def receive(self, within: float) -> None:
        if not select.select([self.connection], [], [], within)[0]:
            return
        data = self.connection.recv(65536)
        if not data:
            raise HungUp
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        heard: list[Json] = []
        for line in lines:
            message: Json = json.loads(line)
            if "method" in message:
                heard.append(message)
            elif message["id"] not in self.answers or self.answers[message["id"]] is not None:
                self.faults.append("a second answer")
            else:
                self.answers[message["id"]] = message
                self.subscriptions |= {message.get("result", {}).get("subscription")}
        for message in heard:
            self.hear(message)


def main(path: str, seed: str, seconds: str, *readers: str) -> None:
    client = Client(path, int(seed), float(seconds), [*readers])
    client.run()
    json.dump(
        {
            "given": client.given,
            "acknowledged": client.acknowledged,
            "outcomes": client.outcomes,
            "faults": client.faults,
            "slowest": client.slowest,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
