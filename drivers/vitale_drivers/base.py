"""Driver interface, and the messages that cross the boundary of a driver's process.

A driver owns one kind of device and knows nothing of clients or tokens. It reports readers coming and going and, when
armed, presentations. Nothing comes down to it but *arm*, *disarm*, *lease*, *unlease*, *transmit* and *preview*.

Rules that every driver keeps (``contract.py`` checks them):

- A constructor stores its options; ``open()`` acts. ``open``, ``arm``, ``disarm``, ``lease`` and ``transmit`` return
  promptly. The device's work is done in the driver's own threads and reported by ``emit``, which any thread may call.
- A reader's ``id`` is the same after replugging and after a restart, and never an index.
- A driver reads a medium at most once for one *presence*, from its insertion to its removal. It does so as soon as it
  is armed for the medium and the medium is present. It does so once more each time an ``Arm`` lists its reader in
  ``again``. The outcome is exactly one ``Presented`` or ``Failed``. This makes an ``Arm`` harmless to repeat, and
  closes the race between an insertion and a request. A phone that leaves an antenna before it was read was not
  presented. That is a ``Progress`` (``retry``), and its next tap is the next presence. A locked phone is treated alike,
  for as long as it is locked.
- Where cards can be leased, no other program and no reading comes between from ``Leased`` to ``Unleased``. The reader
  is shown as ``leased``. Each ``LeaseCommand`` is answered by one ``Leased``. A lease that was held ends with one
  ``Unleased`` and then a reset of the card, however it ends. Readings due meanwhile follow afterwards.
- A driver says ``Settled`` once, when every reader there at its opening was reported or failed to open. So does one
  whose system service is away. Until then whoever asks for a reader is kept waiting.
- A device that is silent unless armed (an antenna, a camera) sees nothing before. What lies there comes when it is
  armed.
- When the system service behind the devices goes away, ``Health`` reports it and the readers are removed. They are
  added again when it is back, without a restart of the driver.
- ``close()`` ends its threads; it is the last call.
"""

import abc
from collections.abc import Callable, Mapping
from math import inf
from typing import Annotated, ClassVar, Literal, TypeAlias, dataclass_transform

import msgspec

from vitale_protocol.diagnosis.check_results import CheckResult
from vitale_protocol.errors import MediumUnsupported
from vitale_protocol.events import Gs1, LeaseWhy, Reader, ReaderId, Step
from vitale_protocol.privacy import concealed
from vitale_protocol.problems import Problem

__all__ = [
    "Arm",
    "CodeScanned",
    "Command",
    "Disarm",
    "Driver",
    "Emit",
    "Failed",
    "FindHolders",
    "Health",
    "HeldBy",
    "LeaseCommand",
    "Leased",
    "Log",
    "Options",
    "OutOfReach",
    "Ping",
    "Pong",
    "Presented",
    "Preview",
    "PreviewPicture",
    "Progress",
    "ReaderAdded",
    "ReaderChanged",
    "ReaderRemoved",
    "Report",
    "Settled",
    "Sighting",
    "Start",
    "Started",
    "Stop",
    "Tell",
    "Transmit",
    "Transmitted",
    "Unlease",
    "Unleased",
    "WhoHolds",
]

Options = Mapping[str, object]


# What is no number, or without end, is no time: in JSON it would be null, and a token with it not one of ours.
Moment: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=253_402_300_799)]  # the last second of the year 9999
# As long as the columns of the store in which they are kept.
PresentationId: TypeAlias = Annotated[str, msgspec.Meta(max_length=36, pattern=r"^[0-9A-Za-z-]+(?![\s\S])")]
MediumName: TypeAlias = Annotated[str, msgspec.Meta(max_length=30, pattern=r"^[0-9A-Za-z-]+(?![\s\S])")]
Seconds: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
# A corner may lie outside of the picture; in JSON, a thousand outlines and a picture fit into one message.
Share: TypeAlias = Annotated[float, msgspec.Meta(ge=-1e3, le=1e3)]
Corner: TypeAlias = tuple[Share, Share]
Outlines: TypeAlias = Annotated[tuple[tuple[Corner, Corner, Corner, Corner], ...], msgspec.Meta(max_length=1_000)]


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """A message between the supervisor and a worker, MessagePack behind a 4-byte big-endian length."""


# ── commands: supervisor → worker ────────────────────────────────────────────────────────────────────────────────


class Start(Message, tag="start"):
    """The first command: opens the driver with its options.

    Attributes:
        options: of the driver.
        hidden: files and folders of the daemon, which the worker gives up before the driver is loaded.
    """

    options: dict[str, object]
    hidden: tuple[str, ...] = ()


class Arm(Message, tag="arm", kw_only=True):
    """Read what is presented from now on. Replaces the arm before it.

    Attributes:
        media: the media wanted.
        readers: the readers wanted; empty means all.
        again: readers whose medium, though read before in this presence, is to be read once more.
        deadline: the driver disarms itself then. Seconds of ``time.monotonic()``, which all processes of a machine
            share. No setting of the clock moves it. Infinite where somebody waits without a limit.
        at: when it was ordered, by the same clock; infinite where that is not known. What came after that was asked
            for, though the order was still on its way.
    """

    media: tuple[str, ...]
    readers: tuple[str, ...] = ()
    again: tuple[str, ...] = ()
    deadline: float
    at: float = inf


class Disarm(Message, tag="disarm"):
    """Stop reading what is presented. A reading that has begun is carried to its end."""


class Transmit(Message, tag="transmit"):
    """Raw command APDUs for the medium in ``reader``, in one transaction; answered by ``Transmitted``.

    ``lease`` is the lease in whose transaction they are exchanged, or 0 for none. With 0 they wait for the end of a
    lease that is held.
    """

    __repr__ = concealed

    id: int
    reader: str
    apdus: tuple[bytes, ...]
    lease: int = 0


class LeaseCommand(Message, tag="lease"):
    """Hold the card that lies in ``reader`` until ``until``, of ``time.monotonic()``; answered by ``Leased``.

    With the ``id`` of a lease that is held, it is prolonged or shortened, and nothing is answered.
    """

    id: int
    reader: str
    until: float


class Unlease(Message, tag="unlease"):
    """End a lease; nothing if it has ended. What is being exchanged is exchanged to its end."""

    id: int
    reader: str


class Preview(Message, tag="preview"):
    """Pictures of what a camera sees, one each ``every`` seconds, for as long as it is armed.

    An ``every`` of 0 ends the preview. Nothing is opened for a preview: a camera that is not armed gives none.
    ``until`` is of ``time.monotonic()``, as ``Arm.deadline``; the driver ends the preview then.
    """

    reader: str
    every: float
    until: float


class Ping(Message, tag="ping"):
    """Answered by ``Pong`` from the worker's own loop."""

    id: int


class HeldBy(Message, tag="held_by"):
    """The answer to ``WhoHolds``: names of the other programs that have the device open, sorted."""

    id: int
    programs: tuple[str, ...]


class Stop(Message, tag="stop"):
    """Close the driver and end the process."""


Command = Start | Arm | Disarm | Transmit | LeaseCommand | Unlease | Preview | Ping | HeldBy | Stop

# ── reports: worker → supervisor ─────────────────────────────────────────────────────────────────────────────────


class Started(Message, tag="started"):
    """The driver is open. ``version`` is that of the binding and of its library, for ``doctor``."""

    driver: str
    media: tuple[str, ...]
    version: str = ""


class Settled(Message, tag="settled"):
    """Report that all readers that were there at the driver's opening have been told."""


class ReaderAdded(Message, tag="reader_added"):
    """Report that a reader was plugged in."""

    reader: Reader


class ReaderChanged(Message, tag="reader_changed"):
    """Report that a reader's state or medium changed; one that is as it was works again."""

    reader: Reader


class ReaderRemoved(Message, tag="reader_removed"):
    """Report that a reader was unplugged."""

    reader: ReaderId


class Progress(Message, tag="progress"):
    """Report on the progress of a presentation.

    Attributes:
        reader: its id.
        step: what has come about.
        problem: why, where a step has a reason (``retry``).
        medium: the medium that the step is about, where its message is another one for it.
    """

    reader: ReaderId
    step: Step
    problem: Problem | None = None
    medium: str = ""


class Presented(Message, tag="presented"):
    """A fact: this medium, at this reader, at this instant, with this raw evidence.

    Attributes:
        id: a UUID (any version), unique for this presentation.
        medium: one of ``vitale_protocol.records.Medium``.
        at: seconds since the epoch, when the last byte of the evidence was read.
        evidence: named raw bytes, as the medium's module in ``vitale_protocol.media`` documents them.
        simulated: whether the reader or the medium is simulated; cannot be turned off.
        elapsed: seconds from the start of the reading to its end (the APDU time).
        over: whether nothing lies there any more, as after a scan. The reader is empty from here on, so that who asks
            next is not told of it.
    """

    __repr__ = concealed

    id: PresentationId
    medium: MediumName
    reader: ReaderId
    at: Moment
    evidence: dict[str, bytes]
    simulated: bool
    elapsed: Seconds = 0.0
    over: bool = False


class CodeScanned(Message, tag="code_scanned"):
    """A code that is no patient's: for whoever listens to codes, and never a presentation.

    Attributes:
        reader: its id.
        data: the content.
        symbology: as the reader told it; empty where it did not.
        gs1: what a GS1 content says; None where it is none, or a wrong one.
        passed_on: whether the driver has given it to another program already.
        format: the published format of the content, by ``media.public_formats``; empty where none is known.
    """

    __repr__ = concealed

    reader: ReaderId
    data: bytes
    symbology: str = ""
    gs1: Gs1 | None = None
    passed_on: bool = False
    format: str = ""


class Failed(Message, tag="failed"):
    """A presentation that gave no reading, and why."""

    reader: ReaderId
    problem: Problem


class Transmitted(Message, tag="transmitted"):
    """The responses to ``Transmit`` so far; ``problem`` says why it stopped early, at number ``len(responses)``."""

    __repr__ = concealed

    id: int
    responses: tuple[bytes, ...]
    problem: Problem | None = None


class Leased(Message, tag="leased"):
    """The card is held; or it is not, and ``problem`` says why."""

    id: int
    atr: bytes = b""
    problem: Problem | None = None


class Unleased(Message, tag="unleased"):
    """A lease that was held has ended."""

    id: int
    why: LeaseWhy


class PreviewPicture(Message, tag="preview_frame"):
    """A picture of what a camera sees: ``jpeg``, at most 640 pixels wide.

    It was taken at ``at``, seconds since the epoch. ``codes`` are the outlines of the codes that were found in it, in
    parts of its width and height.
    """

    __repr__ = concealed

    reader: ReaderId
    at: Moment
    jpeg: bytes
    codes: Outlines = ()


class Health(Message, tag="health"):
    """The driver's own state: ``ok``, or ``degraded`` by a problem (its system service is absent …)."""

    state: Literal["ok", "degraded"]
    problem: Problem | None = None


class Pong(Message, tag="pong"):
    """The answer to ``Ping``; ``stuck`` names an operation that exceeded its time limit, or is empty."""

    id: int
    stuck: str = ""


class WhoHolds(Message, tag="who_holds"):
    """Asks which other programs have a device open: a confined worker cannot see it. Answered by ``HeldBy``.

    ``device`` is the path of a device, or ``pcsc`` for the PC/SC service.
    """

    id: int
    device: str


class OutOfReach(Message, tag="out_of_reach"):
    """Asks for a new worker, since a device that an option names cannot be opened.

    The device came after this worker was confined.
    """


class Log(Message, tag="log"):
    """A log record of the worker, already redacted."""

    level: int
    logger: str
    text: str


Report = (
    Started
    | Settled
    | ReaderAdded
    | ReaderChanged
    | ReaderRemoved
    | Progress
    | Presented
    | CodeScanned
    | Failed
    | Transmitted
    | Leased
    | Unleased
    | PreviewPicture
    | Health
    | Pong
    | WhoHolds
    | OutOfReach
    | Log
)

Emit = Callable[[Report], None]
Tell = Callable[[CheckResult], None]


class Sighting(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that a driver sees of its devices without opening them, for ``doctor``.

    Attributes:
        kind: ``service`` of the system behind the devices, ``reader``, or ``absent`` for a configured device.
        name: as people know it; for an absent device its address in the options.
        device: the path or port that opens it, where there is one.
        medium: what lies there, as in ``Reader``; never whose.
        atr: of a card, in hex; it names a product, no person.
        simulated: whether a program is behind it.
        redirected: whether it is plugged into another machine, on which this session is seen.
        problem: what keeps it from being used.
    """

    kind: Literal["service", "reader", "absent"]
    name: str
    device: str = ""
    medium: str = ""
    atr: str = ""
    simulated: bool = False
    redirected: bool = False
    problem: Problem | None = None


FindHolders = Callable[[str], tuple[str, ...]]
"""Gives the names of the other programs that have a device open, by its path or ``pcsc``; empty if nobody can tell.

Of ``terminal:`` and the path of a pseudo-terminal, those that somebody runs in it.
"""


def _unknown(device: str) -> tuple[str, ...]:  # noqa: ARG001
    return ()


class Driver(abc.ABC):
    """One kind of device. Registered by name in the entry-point group ``vitale_reader.drivers``.

    Attributes:
        find_holders: names the programs that have a device open; set before ``open``. It may take seconds, and is for
            the driver's own threads, never for the calls of this class.
        seen: the last picture that ``examine`` looked at, a JPEG; empty for what is no camera.
    """

    name: ClassVar[str]
    media: ClassVar[tuple[str, ...]]
    find_holders: FindHolders = staticmethod(_unknown)
    seen: bytes = b""

    def __init__(self, options: Options) -> None:
        """Stores the options, and may check them; touches nothing.

        Raises:
            ConfigurationInvalid: as ``check``.
        """
        self.options = options

    def check(self) -> None:  # noqa: B027 - a constructor may have checked all that can be checked
        """Checks the options, as far as no device is needed for it; touches nothing. Called before ``open``.

        Raises:
            ConfigurationInvalid: an option cannot be used; ``data.path`` names it in the configuration.
        """

    def survey(self) -> tuple[Sighting, ...]:
        """Looks at the devices without opening or reading any; called instead of ``open``, and never after it.

        Raises:
            ToolMissing: as ``open``.
        """
        return ()

    def examine(self, tell: Tell, seconds: float, reader: str = "") -> None:
        """Tries one device step by step and tells each step, for ``doctor``; called instead of ``open``.

        Args:
            tell: takes each step; no personal data is in any.
            seconds: for as long as it waits for somebody to present something.
            reader: a part of the name of the reader to try; empty for the first that there is.

        Raises:
            MediumUnsupported: this kind of device cannot be tried.
            ToolMissing: as ``open``.
        """
        raise MediumUnsupported("nothing can be tried here step by step", variant="driver")

    @abc.abstractmethod
    def open(self, emit: Emit) -> None:
        """Starts the driver's threads; emits ``Started`` and then what it finds.

        Raises:
            ToolMissing: the binding's native library is not installed.
        """

    @abc.abstractmethod
    def arm(self, command: Arm) -> None:
        """Reads what is presented from now on, under the rules of this module."""

    @abc.abstractmethod
    def disarm(self) -> None:
        """Ends the effect of ``arm``."""

    @abc.abstractmethod
    def transmit(self, command: Transmit) -> None:
        """Exchanges raw APDUs; emits one ``Transmitted``."""

    def lease(self, command: LeaseCommand) -> None:
        """Holds a card for its holder's commands alone; emits one ``Leased``.

        Raises:
            MediumUnsupported: this kind of device has nothing that could be held.
        """
        raise MediumUnsupported("nothing can be leased here", variant="lease")

    def unlease(self, command: Unlease) -> None:  # noqa: B027 - most drivers lease nothing
        """Ends a lease of a card."""

    def preview(self, command: Preview) -> None:  # noqa: B027 - most drivers are no cameras
        """Gives pictures of what a camera sees; what is no camera gives none."""

    def stuck(self) -> str:
        """Names an operation that exceeded its own time limit, so that the worker can be replaced; else empty."""
        return ""

    @abc.abstractmethod
    def close(self) -> None:
        """Ends the driver's threads; emits nothing afterwards."""
