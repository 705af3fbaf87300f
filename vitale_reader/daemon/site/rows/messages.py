"""Messages between the desks of a site, as sealed rows hold them, and the result of one look."""

from collections.abc import Mapping

import msgspec

from vitale_protocol.events import Step
from vitale_protocol.methods import StationMode
from vitale_protocol.privacy import concealed
from vitale_protocol.problems import Problem
from vitale_reader.daemon.site.remote_readers import DeskTold, Names

__all__ = ["DeskRow", "RequestRow", "SeenRows", "StepTold", "Wanted"]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Request of a desk to the others, in the name of one of its clients.

    Attributes:
        until: when it ends, in epoch seconds by the site's clock; 0 from a desk of an older version.
    """

    __repr__ = concealed

    station: str
    mode: StationMode
    client_id: str
    nonce: str
    scopes: tuple[str, ...]
    purpose: tuple[str, ...] | None
    media: frozenset[str]
    names: Names
    timeout: float
    site: str = ""
    until: float = 0.0


class StepTold(msgspec.Struct, frozen=True, kw_only=True):
    """Progress of a request at a desk.

    Attributes:
        reader: under the name that holds for the whole site.
        by: the incarnation of the desk that tells it.
        number: tells a step that was heard from one that is new: those of a desk count upwards.
    """

    step: Step
    reader: str | None
    problem: Problem | None = None
    medium: str = ""
    by: str = ""
    number: int = 0


class DeskRow(msgspec.Struct, frozen=True):
    """A desk that is there."""

    station: str
    incarnation: str
    version: int
    told: DeskTold


class RequestRow(msgspec.Struct, frozen=True, kw_only=True):
    """A request: its id, who asks, its seconds left, and who is at it; its answer if ours."""

    id: str
    asked_by: str
    left: float
    taken_by: str | None
    answered: bool
    answer: bytes | None
    sealed: bytes | None = None


class SeenRows(msgspec.Struct, frozen=True, kw_only=True):
    """Result of one look: the desks, the requests in the order asked, and new steps of ours."""

    desks: Mapping[str, DeskRow]
    requests: tuple[RequestRow, ...]
    steps: tuple[tuple[str, StepTold], ...]
