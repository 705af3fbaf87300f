"""Controls of the demonstration's simulators: present what a person clicks on the dashboard.

A session of the daemon's owner holds the simulators; the daemon hands on what the dashboard says (``simulator.act``).
"""

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from vitale_firmware_sim.card.images import image_names
from vitale_protocol.errors import Cancelled, DaemonUnreachable, VitaleError
from vitale_protocol.events import Event, SimulatorAct, SimulatorKind, SimulatorPlace
from vitale_protocol.methods import Done, SimActed, SimAttach
from vitale_reader.cli.demo.code_devices import CodeDevices, Screen
from vitale_reader.cli.demo.environment import DemoEnvironment
from vitale_reader.client.reconnecting import ReconnectingTransport, Settings

__all__ = ["SimulatedPlace", "SimulatorControls", "places_of", "played"]

#: Seconds for which a code on a screen is left as it is; its string is good for a minute.
CODE_LASTS: Final = 30.0

#: Before the id of a phone: the INS Datamatrix on a paper of its owner.
PAPER: Final = "INS "


@dataclass
class SimulatedPlace:
    """A place at which something is presented.

    Attributes:
        kind: as the wire has it.
        things: what can be presented.
        put: presents a thing.
        take: takes away what is there; None where it is over at once.
        renew: shows it anew, where that has to be done from time to time.
        holds: what is there.
    """

    kind: SimulatorKind
    things: tuple[str, ...]
    put: Callable[[str], None]
    take: Callable[[], None] | None = None
    renew: Callable[[str], None] | None = None
    holds: str | None = None


def places_of(environment: DemoEnvironment) -> dict[str, SimulatedPlace]:
    """The places of a demonstration, each where it has one."""
    places: dict[str, SimulatedPlace] = {}
    if (slot := environment.slot) is not None:
        places["slot"] = SimulatedPlace("card", image_names(), slot.insert, slot.remove)
    if (phones := environment.phones) is not None:
        owners = tuple(phone.id for phone in phones.scenario.phones if phone.state == "active")
        if phones.reader is not None:
            reader = phones.reader
            places["antenna"] = SimulatedPlace(
                "phone", owners, lambda owner: reader.field.put(phones.phone(owner)), reader.field.remove
            )
        elif environment.contactless is not None:
            contactless = environment.contactless
            places["antenna"] = SimulatedPlace(
                "phone", owners, lambda owner: contactless.lay(phones.phone(owner)), contactless.remove
            )
    if environment.codes is not None:
        places |= _code_places(environment.codes)
    return places


def _code_places(codes: CodeDevices) -> Mapping[str, SimulatedPlace]:
    places: dict[str, SimulatedPlace] = {}
    owners = tuple(phone.id for phone in codes.scenario.phones if phone.state == "active")
    screens: dict[str, Screen] = {}

    def code(owner: str) -> bytes:
        return screens.setdefault(owner, codes.screen(owner)).renewed()

    if (camera := codes.camera) is not None:

        def show(owner: str) -> None:
            camera.show(code(owner))

        places["camera"] = SimulatedPlace("screen", owners, show, camera.clear, show)
    if (imager := codes.imager) is not None:

        def scan(thing: str) -> None:
            if thing.startswith(PAPER):
                imager.scan(codes.paper(thing.removeprefix(PAPER)), "datamatrix")
            else:
                imager.scan(code(thing), "qr")

        places["imager"] = SimulatedPlace("scan", (*owners, *(PAPER + owner for owner in owners)), scan)
    return places


@dataclass
class SimulatorControls:
    """Does what it is told, one act at a time.

    Attributes:
        places: by their names.
    """

    places: Mapping[str, SimulatedPlace]
    _turn: threading.Lock = field(default_factory=threading.Lock)

    @property
    def told(self) -> tuple[SimulatorPlace, ...]:
        """The places, as the daemon is told of them."""
        return tuple(
            SimulatorPlace(place=name, kind=place.kind, things=place.things, holds=place.holds)
            for name, place in self.places.items()
        )

    def act(self, name: str, thing: str | None) -> str:
        """Presents a thing, or takes it away; why not, where a simulator refuses."""
        with self._turn:
            place = self.places[name]
            try:
                if thing is not None:
                    place.put(thing)
                    place.holds = thing if place.take is not None else None
                elif place.take is not None:
                    place.take()
                    place.holds = None
            except VitaleError as refused:
                return refused.detail or type(refused).__name__
            except OSError as refused:
                return str(refused)
        return ""

    def renew(self) -> None:
        """Shows anew what renews itself."""
        with self._turn:
            for place in self.places.values():
                if place.renew is not None and place.holds is not None:
                    place.renew(place.holds)


async def played(settings: Settings, controls: SimulatorControls, ready: Callable[[], None]) -> None:
    """Holds the simulators for a daemon's dashboard, until it is cancelled.

    Args:
        settings: the way to the daemon, as its owner.
        controls: do what is clicked.
        ready: called once the daemon knows of the simulators.

    Raises:
        SimulatedRefused: the daemon is not in ``simulated`` mode.
        DaemonUnreachable: it has ended.
    """
    acts: asyncio.Queue[SimulatorAct | None] = asyncio.Queue()

    def heard(name: str, event: Event | None) -> None:
        if isinstance(event, SimulatorAct):
            acts.put_nowait(event)
        elif name == "lost":
            acts.put_nowait(None)

    transport = ReconnectingTransport(settings, heard)
    renewing = asyncio.create_task(_renew(controls))
    try:
        await transport.ask("sim.attach", SimAttach(places=controls.told), Done)
        ready()
        while (act := await acts.get()) is not None:
            refused = await asyncio.to_thread(controls.act, act.place, act.thing)
            await transport.ask_once(
                "sim.acted", SimActed(act=act.act, places=controls.told, refused=refused[:500]), Done
            )
        raise DaemonUnreachable("the daemon of the simulators has ended")
    except Cancelled as error:
        raise DaemonUnreachable("the connection to the daemon was closed") from error
    finally:
        renewing.cancel()
        await transport.close()


async def _renew(controls: SimulatorControls) -> None:
    while True:
        await asyncio.sleep(CODE_LASTS)
        await asyncio.to_thread(controls.renew)
