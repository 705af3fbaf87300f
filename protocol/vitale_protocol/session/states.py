"""The states of a session and the table of its transitions; a missing key is the error.

::

    OPENING ──open──▶ ANSWERING ──opened──▶ OPEN ──call, notify──▶ OPEN
       ▲                  │                   │
       └─────refused──────┘                   └──end──▶ CLOSED      (every state ends)
"""

import enum
from typing import Final

__all__ = ["TRANSITIONS", "State", "Trigger"]


class State(enum.Enum):
    """Progress of a session from opening to its end."""

    OPENING = "opening"
    ANSWERING = "answering"
    OPEN = "open"
    CLOSED = "closed"


class Trigger(enum.Enum):
    """Events of a session: ``session.open`` called, answered, refused; another call; a notification; the end.

    ``CALL_BEFORE`` is a call that a page makes before ``session.open``.
    """

    CALL_BEFORE = "before"
    CALL_OPEN = "open"
    OPENED = "opened"
    REFUSED = "refused"
    CALL = "call"
    NOTIFY = "notify"
    END = "end"


TRANSITIONS: Final[dict[tuple[State, Trigger], State]] = {
    (State.OPENING, Trigger.CALL_BEFORE): State.OPENING,
    (State.OPENING, Trigger.CALL_OPEN): State.ANSWERING,
    (State.ANSWERING, Trigger.OPENED): State.OPEN,
    (State.ANSWERING, Trigger.REFUSED): State.OPENING,
    (State.OPEN, Trigger.CALL): State.OPEN,
    (State.OPEN, Trigger.NOTIFY): State.OPEN,
    (State.OPENING, Trigger.END): State.CLOSED,
    (State.ANSWERING, Trigger.END): State.CLOSED,
    (State.OPEN, Trigger.END): State.CLOSED,
}
