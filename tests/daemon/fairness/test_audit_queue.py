"""Audit lines behind the answers: the first ones singly, a flood as a sum, none lost at the end, none written twice."""

import asyncio
from typing import Any, cast

import msgspec
import pytest

from tests.clocks import Clock
from vitale_reader.daemon.fairness import audit_queue as module
from vitale_reader.daemon.fairness.audit_queue import MOST_LINES, NoteKind, Notes


class Trail:
    """An audit trail that remembers its lines."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, str | None]] = []
        self.kinds: list[NoteKind] = []

    async def note(
        self, action: str, outcome: str, *, client_id: str | None, medium: str | None, reader: str | None
    ) -> None:
        await asyncio.sleep(0)
        self.lines.append((action, outcome, client_id))
        self.kinds.append(NoteKind(action, outcome, client_id, medium, reader))


def made() -> tuple[Notes, Trail, Clock]:
    trail, clock = Trail(), Clock()
    return Notes(cast("Any", trail), clock=clock), trail, clock


def test_a_flood_is_a_few_lines_and_a_sum() -> None:
    async def main() -> None:
        notes, trail, _ = made()
        notes.open()
        for _ in range(31_000):
            notes.add("presentation.submit", "medium_unsupported", client_id="flood")
        notes.add("session.open", "ok", client_id="other")
        assert len(notes) <= MOST_LINES + 1, "memory does not grow with the flood"
        await notes.close()
        flood = ("presentation.submit", "medium_unsupported", "flood")
        rest = 31_000 - MOST_LINES
        print(f"31000 refusals became {len(trail.lines) - 1} lines")
        assert trail.lines == [
            *[flood] * MOST_LINES,
            ("session.open", "ok", "other"),
            ("presentation.submit", f"medium_unsupported*{rest}", "flood"),
        ]

    asyncio.run(main())


def test_the_sum_is_written_when_the_minute_is_over() -> None:
    async def main() -> None:
        notes, trail, clock = made()
        notes.open()
        for _ in range(MOST_LINES + 5):
            notes.add("session.open", "not_authenticated")
        clock.now += module.MINUTE
        notes.add("session.open", "not_authenticated")
        for _ in range(1_000):
            await asyncio.sleep(0)
        assert [line[1] for line in trail.lines[MOST_LINES:]] == ["not_authenticated*5", "not_authenticated"]
        await notes.close()
        assert len(trail.lines) == MOST_LINES + 2, "none twice"

    asyncio.run(main())


@pytest.mark.parametrize("invented", ["reader", "medium"])
def test_a_client_of_many_kinds_takes_nothing_from_the_lines_of_another(
    monkeypatch: pytest.MonkeyPatch, invented: str
) -> None:
    monkeypatch.setattr(module, "MOST_KINDS", 3)

    async def main() -> None:
        notes, trail, _ = made()
        notes.open()
        for number in range(10):
            notes.add("lease.acquire", "no_reader", client_id="flood", **{invented: f"invented-{number}"})
        notes.add("session.open", "ok", client_id="flood")
        notes.add("lease.acquire", "ok", client_id="other", medium="vitale-card", reader="pcsc:slot")
        await notes.close()
        flood = NoteKind("lease.acquire", "no_reader", "flood", None, None)
        assert trail.kinds == [
            *(msgspec.structs.replace(flood, **{invented: f"invented-{number}"}) for number in range(3)),
            *[flood] * 7,
            NoteKind("session.open", "ok", "flood", None, None),
            NoteKind("lease.acquire", "ok", "other", "vitale-card", "pcsc:slot"),
        ]

    asyncio.run(main())
