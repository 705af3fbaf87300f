"""The entrance of the dashboard: invitations of the owner, bearers of browsers, and sessions that end with them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal, Protocol

from vitale_protocol.errors import NotAuthenticated, ShuttingDown
from vitale_protocol.methods import DashboardOpened
from vitale_protocol.web.own_names import DASHBOARD
from vitale_reader.daemon.clients.callers import Caller
from vitale_reader.daemon.conversation import Conversation
from vitale_reader.daemon.dashboard.passes import Pass, Passes

__all__ = ["DASHBOARD", "At", "Entrance", "Invite"]

#: The most that it may: what a person does at the desk, and nothing of a patient.
SCOPES = frozenset({"desk", "preview"})

#: The call of a patient screen that is shown; nobody touches it.
SHOWS = "desk.show"

At = Literal["name", "address"]


class Invite(Protocol):
    """The listener, as the entrance sees it."""

    def __call__(self, at: At) -> Awaitable[DashboardOpened]:
        """Listens, if nobody does yet, and makes an invitation."""
        ...


class Entrance:
    """The sessions of the dashboard, each with its pass.

    Attributes:
        passes: that count.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.passes = Passes(clock)
        self._clock = clock
        self._inside: dict[int, tuple[Conversation, Pass]] = {}
        self._alarm: asyncio.TimerHandle | None = None
        self._invite: Invite | None = None

    def listens_by(self, invite: Invite) -> None:
        """Names the listener, once there is one."""
        self._invite = invite

    async def invite(self, at: At) -> DashboardOpened:
        """Lets a browser in.

        Raises:
            ShuttingDown: nothing is listened on (yet, or any more).
            VitaleError: the dashboard cannot be opened on this machine.
        """
        if self._invite is None:
            raise ShuttingDown("nothing is listened on")
        return await self._invite(at)

    # ── sessions ──

    def admit(self, conversation: Conversation, bearer: object) -> Caller:
        """A page of the dashboard shows its bearer.

        Raises:
            NotAuthenticated: it does not count.
        """
        if not isinstance(bearer, str):
            raise NotAuthenticated("no bearer was shown")
        self._inside[conversation.number] = (conversation, self.passes.admit(bearer))
        self._set_alarm()
        return Caller(client_id=DASHBOARD, name=DASHBOARD, scopes=SCOPES)

    def require(self, conversation: Conversation, method: str) -> None:
        """A session calls; those of the dashboard go on by that.

        Raises:
            NotAuthenticated: its pass is over, or good for the patient screen alone.
        """
        if (inside := self._inside.get(conversation.number)) is None:
            return
        if method == SHOWS:
            self.passes.show(inside[1])
        else:
            self.passes.use(inside[1])

    def left(self, conversation: Conversation) -> None:
        """A session ended, whosever it was."""
        if self._inside.pop(conversation.number, None) is not None:
            self._set_alarm()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._inside:
            end = min(each.end for _, each in self._inside.values())
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_later(max(end - self._clock(), 0.0) + 0.01, self._expel)

    def _expel(self) -> None:
        """Ends the sessions whose pass is over; it may have been used since the alarm was set."""
        self._alarm = None
        now = self._clock()
        for conversation, each in tuple(self._inside.values()):
            if each.end <= now:
                conversation.connection.expel()
        self._set_alarm()
