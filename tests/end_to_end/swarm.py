"""A swarm of client processes at one daemon, or at several: what they were given, together."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

__all__ = ["Harvest", "Swarm"]

PROGRAM = Path(__file__).with_name("swarm_client.py")

#: What a client may be answered: its time was over, it gave up, or the card was somebody else's or on its way.
EXPECTED = {
    "cancelled",
    "lease_conflict",
    "lease_expired",
    "medium_removed",
    "medium_unreadable",
    "medium_mute",
    "reader_busy",
    "reader_gone",
    "no_reader",
    "timeout",
}
DONE = {"delivered", "handed over", "subscribed", "leased", "transmitted", "left", "presentation.failed", "lease.ended"}


@dataclass(frozen=True)
class Harvest:
    """What the clients have to tell.

    Attributes:
        given: presentation and ``jti`` of each token that a client was given.
        acknowledged: the tokens that were acknowledged.
        outcomes: how often what happened.
        faults: what should not have.
        slowest: seconds that the slowest answer took.
    """

    given: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    acknowledged: set[str] = field(default_factory=set[str])
    outcomes: Counter[str] = field(default_factory=Counter[str])
    faults: list[str] = field(default_factory=list[str])
    slowest: float = 0.0

    def __add__(self, other: Self) -> "Harvest":
        return Harvest(
            self.given + other.given,
            self.acknowledged | other.acknowledged,
            self.outcomes + other.outcomes,
            self.faults + other.faults,
            max(self.slowest, other.slowest),
        )

    @property
    def jtis(self) -> set[str]:
        """The tokens that clients have."""
        return {jti for _, jti in self.given}

    def check(self) -> None:
        """Nobody was given what another one was given, or answered what cannot be."""
        assert self.faults == []
        presentations = [presentation for presentation, _ in self.given]
        assert len(set(presentations)) == len(presentations), "one presentation, two clients"
        assert len(self.jtis) == len(self.given), "one token, two clients"
        assert set(self.outcomes) <= EXPECTED | DONE, self.outcomes


class Swarm:
    """Clients that are let loose for some seconds.

    Args:
        sockets: the daemons' Unix sockets, among which the clients are dealt out.
        clients: how many processes.
        seconds: how long they live.
        seed: the same one gives the same choices, though not the same interleaving.
        readers: where they ask and lease, and where they only subscribe; all of them, and no leases, by default.
    """

    def __init__(
        self, sockets: Sequence[str], *, clients: int, seconds: float, seed: int = 7816, readers: Sequence[str] = ()
    ) -> None:
        self._seconds = seconds
        self._processes = [
            subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    "-S",
                    str(PROGRAM),
                    sockets[number % len(sockets)],
                    str(seed + number),
                    str(seconds),
                    *readers,
                ],
                stdout=subprocess.PIPE,
            )
            for number in range(clients)
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()

    @property
    def alive(self) -> bool:
        """Whether some of them live still."""
        return any(process.poll() is None for process in self._processes)

    def harvest(self) -> Harvest:
        """What they tell at their end, which is waited for."""
        total = Harvest()
        for process in self._processes:
            said, _ = process.communicate(timeout=self._seconds + 240)
            assert process.returncode == 0
            told = json.loads(said)
            total += Harvest(
                [(presentation, jti) for presentation, jti in told["given"]],
                set(told["acknowledged"]),
                Counter(told["outcomes"]),
                told["faults"],
                told["slowest"],
            )
        return total
