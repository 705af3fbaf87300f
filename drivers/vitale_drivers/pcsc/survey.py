"""Readers and their cards as PC/SC tells them at one look, for ``doctor``; no card is connected to."""

from vitale_drivers.base import Sighting
from vitale_drivers.pcsc.api import Pcsc
from vitale_drivers.pcsc.names import is_simulated, shown_name
from vitale_drivers.pcsc.state import ReaderState
from vitale_protocol.errors import MediumMute, ReaderBusy, ReaderGone, ReaderUnavailable
from vitale_protocol.media import recognise
from vitale_protocol.problems import Problem

__all__ = ["survey"]


def survey(pcsc: Pcsc) -> tuple[Sighting, ...]:
    """The service and the readers that there are now.

    Args:
        pcsc: the library.

    Raises:
        ReaderUnavailable: the service does not answer, or not to this user.
    """
    context = pcsc.establish()
    try:
        names = context.readers()
        states = context.wait([ReaderState(name) for name in names], 0) if names else ()
        redirected = frozenset(name for name in names if context.redirected(name))
    except ReaderGone:  # unplugged at this very moment
        states, redirected = (), frozenset[str]()
    finally:
        context.release()
    readers = (_sighting(state, redirected=state.name in redirected) for state in states)
    return (Sighting(kind="service", name="PC/SC"), *readers)


def _sighting(state: ReaderState, *, redirected: bool) -> Sighting:
    return Sighting(
        kind="reader",
        name=shown_name(state.name, redirected=redirected),
        redirected=redirected,
        medium="" if state.mute or not state.atr else recognise(state.atr).medium,
        atr=state.atr.hex().upper(),
        simulated=is_simulated(state.name),
        problem=_problem(state),
    )


def _problem(state: ReaderState) -> Problem | None:
    if state.unavailable:
        return Problem(ReaderUnavailable.reason)
    if state.exclusive:
        return Problem(ReaderBusy.reason)
    if state.present and state.mute:
        return Problem(MediumMute.reason)
    return None
