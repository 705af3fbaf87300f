"""``kill -9`` of the daemon at random instants under load: nothing stored or handed over is lost or issued twice."""

import contextlib
import random
import threading
from typing import Any

import jwt
import pytest
from click.testing import CliRunner

from vitale_protocol.errors import LocalError, VitaleError
from vitale_reader.cli.audit import audit

#: A few rounds in the suite; ``make soak`` plays two hundred, on either database.
ROUNDS = pytest.mark.parametrize(
    ("kind", "rounds"),
    [
        ("sqlite", 6),
        pytest.param("sqlite", 200, marks=pytest.mark.soak),
        pytest.param("postgresql", 200, marks=pytest.mark.soak),
    ],
)

#: Seconds of load before the kill; long enough for several tokens, short enough to hit a start-up as well.
SHORTEST, LONGEST = 0.05, 1.2

#: Tokens of every other round.
LOAD = 3

PATIENCE = 60.0


class Desk(threading.Thread):
    """A client that reads as fast as it can until the daemon dies, and acknowledges every second token."""

    def __init__(self, daemon: Any, busy: threading.Semaphore, over: threading.Event) -> None:
        super().__init__()
        self.busy = busy
        self.over = over
        self.daemon_process = daemon
        self.handed_over: dict[str, str] = {}
        self.acknowledged: set[str] = set()
        self.uncertain: set[str] = set()

    def run(self) -> None:
        while not self.over.is_set():
            # It is gone, and what was handed over is what counts; or it was too slow to let anybody in.
            with contextlib.suppress(LocalError):
                self.read()

    def read(self) -> None:
        try:
            with self.daemon_process.connect(connect_timeout=0.1) as reader:
                while True:
                    found = reader.read(timeout=PATIENCE, acknowledge=False)
                    self.handed_over[found.jti] = found.token
                    self.busy.release()
                    if len(self.handed_over) % 2:
                        self.uncertain.add(found.jti)
                        reader.acknowledge(found.jti)
                        self.acknowledged.add(found.jti)
        except VitaleError as error:
            if isinstance(error, LocalError) or error.reason not in {"reader_gone", "no_reader", "shutting_down"}:
                raise


@ROUNDS
@pytest.mark.timeout(1_800)
def test_kill_dash_nine_loses_and_doubles_nothing(
    start_daemon: Any, kind: str, rounds: int, request: pytest.FixtureRequest
) -> None:
    chance = random.Random(7816)
    top = "" if kind == "sqlite" else f'store = "{request.getfixturevalue("empty_database")}"'
    daemon = start_daemon(driver="simulated-card", rest="[tokens]\nlifetime = 600", top=top)
    handed_over: dict[str, str] = {}
    acknowledged: set[str] = set()
    uncertain: set[str] = set()
    nonces: dict[str, str] = {}
    for number in range(rounds):
        busy, over = threading.Semaphore(0), threading.Event()
        desks = [Desk(daemon, busy, over) for _ in range(3)]
        for desk in desks:
            desk.start()
        if number % 2:  # every other round hits readings for certain, however slow the machine starts
            assert all(busy.acquire(timeout=PATIENCE) for _ in range(LOAD))
        threading.Event().wait(chance.uniform(SHORTEST, LONGEST))
        daemon.kill()
        over.set()
        for desk in desks:
            desk.join(PATIENCE)
            assert not desk.is_alive()
            assert not handed_over.keys() & desk.handed_over.keys(), "one identifier, two tokens"
            handed_over |= desk.handed_over
            acknowledged |= desk.acknowledged
            uncertain |= desk.uncertain
        daemon.start()
        with daemon.connect() as reader:
            pending = {token.jti: token.token for token in reader.pending()}
            for jti, token in handed_over.items():
                if jti in acknowledged:
                    assert jti not in pending, "acknowledged, and still there"
                elif jti not in uncertain:
                    assert pending[jti] == token, "handed over, not acknowledged, and lost"
            for jti, token in (handed_over | pending).items():
                nonce = jwt.decode(token, options={"verify_signature": False})["nonce"]
                assert nonces.setdefault(nonce, jti) == jti, "one request, two tokens"
            if pending:
                reader.acknowledge(*pending)
                acknowledged |= pending.keys()
    assert len(handed_over) >= LOAD * rounds // 2, "there was no load"
    assert daemon.log.count("Traceback") == 0
    trail = CliRunner().invoke(audit, ["verify", "--home", str(daemon.home.config.parent)])
    assert trail.exit_code == 0, trail.output
