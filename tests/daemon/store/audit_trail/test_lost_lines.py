"""Lines of the audit trail that are lost are told in sums, however many there are."""

import pytest

from vitale_protocol.errors import StoreUnavailable
from vitale_reader.daemon.store.audit_trail.lost_lines import BETWEEN, LostLines

OTHERS = "other lines of the audit trail that were lost: "
FULL = StoreUnavailable("SQLite: SQLITE_FULL", variant="file-full")


class Clock:
    """Monotonic seconds that the test moves."""

    now = 7.0

    def __call__(self) -> float:
        return self.now


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was written since the last look."""
    messages = [message.partition(" (")[0] for message in caplog.messages]
    caplog.clear()
    return messages


def test_a_line_a_minute_is_written_whatever_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    lost = LostLines(clock)
    one, forty, two = (
        "a line of the audit trail is lost",
        *(OTHERS + n for n in ("40", "2")),
    )

    for _ in range(41):
        lost.lose("presentation.request", "store_unavailable", FULL)
        lost.sum_up_when_due()
    assert [one] == told(caplog)
    clock.now += BETWEEN
    lost.lose("presentation.request", "store_unavailable", FULL)
    assert [forty, one] == told(caplog)
    for _ in range(2):
        lost.lose("session.open", "ok", FULL)
    clock.now += BETWEEN
    for _ in range(2):
        lost.sum_up_when_due()
    assert [two] == told(caplog), "also where nothing more is lost"
    lost.lose("session.open", "ok", FULL)
    lost.sum_up()
    assert [OTHERS + "1"] == told(caplog), "and at the end"
