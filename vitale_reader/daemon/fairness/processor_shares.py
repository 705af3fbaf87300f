"""The processor time that each owner may use: what reads its calls takes of it, and what answers them.

- Work in an owner's name is charged to it step by step. In the event loop ``charged`` does this, and ``alike`` for what
  it begins. In the store's threads ``spend`` does.
- Work whose length a client decides is done ``one_at_a_time`` for each owner. What it gathers is in memory once,
  however many such calls are under way. It goes in slices, with ``give_way`` between them, and waits while the owner is
  in debt.
"""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Hashable
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar

from vitale_protocol.errors import ShuttingDown
from vitale_reader.daemon.fairness.token_buckets import Buckets, Rate

__all__ = ["CLIENT_SHARE", "USER_SHARE", "Owner", "Shares", "alike", "give_way", "one_at_a_time", "spend"]

T = TypeVar("T")

#: Seconds of the processor for each second: seven clients are needed to fill the daemon.
CLIENT_SHARE = Rate(0.15, 0.2)

#: The same for all that a user of ``unix.users`` runs.
USER_SHARE = Rate(0.3, 0.3)

#: Windows counts the processor time of a thread in steps of 15 ms.
_used: Callable[[], float] = time.perf_counter if sys.platform == "win32" else time.thread_time


class Owner(Protocol):
    """One in whose name work is done."""

    @property
    def owner(self) -> Hashable:
        """The owner whose share is used."""
        ...

    @property
    def group(self) -> Hashable:
        """The group whose share is used as well; None for no group."""
        ...


class Shares:
    """The shares of all owners, and of the groups that some of them belong to.

    Args:
        clock: monotonic seconds.
        used: processor time of this thread, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, used: Callable[[], float] = _used) -> None:
        self.used = used
        self._clients = Buckets(CLIENT_SHARE, clock)
        self._users = Buckets(USER_SHARE, clock)
        self._gates: dict[Hashable, _Gate] = {}
        self._ending = asyncio.Event()

    def spend(self, owner: Hashable, group: Hashable, seconds: float) -> None:
        """Takes what was used from an owner's share, and from its group's; None for no group."""
        self._clients.of(owner).spend(seconds)
        if group is not None:
            self._users.of(group).spend(seconds)

    def wait(self, owner: Hashable, group: Hashable) -> float:
        """Seconds until neither of them is in debt."""
        return max(self._clients.of(owner).wait, 0.0 if group is None else self._users.of(group).wait)

    def charged(self, owner: Hashable, group: Hashable, work: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
        """The same work for a task of its own, each step of which is charged to an owner."""
        return _Charged(_Account(self, owner, group), work)

    @contextlib.asynccontextmanager
    async def alone(self, owner: Hashable) -> AsyncGenerator[None]:
        """Has this work of an owner done after its other work of this kind, in order of arrival.

        Raises:
            ShuttingDown: ``end`` was called before its turn came.
        """
        gate = self._gates.setdefault(owner, _Gate())
        gate.waiting += 1
        try:
            async with gate.one:
                self._require_time()
                yield
        finally:
            gate.waiting -= 1
            if not gate.waiting:
                del self._gates[owner]

    async def rest(self, owner: Hashable, group: Hashable) -> None:
        """Lets others have their turn, and waits until neither of the two is in debt.

        Raises:
            ShuttingDown: ``end`` was called; nobody waits any more.
        """
        await asyncio.sleep(0)
        while (wait := self.wait(owner, group)) and not self._ending.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._ending.wait()
        self._require_time()

    def _require_time(self) -> None:
        if self._ending.is_set():
            raise ShuttingDown("the daemon is stopping")

    def end(self) -> None:
        """The daemon stops: whoever waits for its share, now or later, is told so."""
        self._ending.set()


class _Gate:
    """The place at which the long work of an owner is done, one after the other."""

    def __init__(self) -> None:
        self.one = asyncio.Lock()
        self.waiting = 0


class _Account:
    """An owner to whom a task's work is charged."""

    def __init__(self, shares: Shares, owner: Hashable, group: Hashable) -> None:
        self.shares = shares
        self.owner = owner
        self.group = group


_account: ContextVar[_Account | None] = ContextVar("account", default=None)


def alike(work: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
    """The same work for a task of its own, charged to this task's owner, if it has one."""
    account = _account.get()
    return work if account is None else _Charged(account, work)


def spend(seconds: float) -> None:
    """Charges what was used elsewhere, in a thread, to this task's owner, if it has one."""
    if (account := _account.get()) is not None:
        account.shares.spend(account.owner, account.group, seconds)


@contextlib.asynccontextmanager
async def one_at_a_time() -> AsyncGenerator[None]:
    """Has the long work of this task's owner done after its earlier work; without an owner, at once.

    Raises:
        ShuttingDown: the daemon stops, and the task has an owner.
    """
    account = _account.get()
    if account is None:
        yield
    else:
        async with account.shares.alone(account.owner):
            yield


async def give_way() -> None:
    """Lets others have their turn; goes on once the owner of this task is not in debt.

    Raises:
        ShuttingDown: the daemon stops, and the task has an owner.
    """
    account = _account.get()
    if account is None:
        await asyncio.sleep(0)
    else:
        await account.shares.rest(account.owner, account.group)


class _Charged(Coroutine[Any, Any, T]):
    """A coroutine of which each step is charged."""

    def __init__(self, account: _Account, work: Coroutine[Any, Any, T]) -> None:
        self._account = account
        self._work = work

    def send(self, value: Any, /) -> Any:
        """Takes one step of the work, and charges it."""
        _account.set(self._account)  # in the task's own context, where the first step is taken
        return self._step(lambda: self._work.send(value))

    def throw(self, typ: Any, val: Any = None, tb: Any = None, /) -> Any:
        """Takes one step of the work that begins with an exception, and charges it."""
        return self._step(lambda: self._work.throw(typ if val is None else val))

    def close(self) -> None:
        """Ends the work before its next step."""
        self._work.close()

    def __await__(self) -> Generator[Any, None, T]:
        """Awaits the work, charged to nobody: only a task takes steps one by one."""
        return self._work.__await__()

    def _step(self, step: Callable[[], Any]) -> Any:
        shares = self._account.shares
        began = shares.used()
        try:
            return step()
        finally:
            shares.spend(self._account.owner, self._account.group, shares.used() - began)
