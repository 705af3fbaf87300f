"""Simulators that a session holds: played by others, in simulated mode alone."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import pytest

from vitale_protocol.errors import InvalidParams, ReaderUnavailable, SimulatedRefused
from vitale_protocol.events import SimulatorAct, SimulatorPlace
from vitale_protocol.methods import StationMode
from vitale_reader.daemon.dashboard import simulators as module
from vitale_reader.daemon.dashboard.simulators import Simulators

SLOT = SimulatorPlace(place="slot", kind="card", things=("adulte", "enfant"))
FULL = SimulatorPlace(place="slot", kind="card", things=("adulte", "enfant"), holds="adulte")


@dataclass
class Holder:
    """A session that holds simulators, and does what it is told to."""

    number: int = 1
    told: list[SimulatorAct] = field(default_factory=list[SimulatorAct])
    answers: Callable[[SimulatorAct], None] = lambda _: None

    def simulator_act(self, event: SimulatorAct) -> None:
        self.told.append(event)
        self.answers(event)


@pytest.fixture
def simulators() -> Simulators:
    return Simulators("simulated")


def test_what_is_played_is_done_and_what_is_there_is_told(simulators: Simulators) -> None:
    holder = Holder()
    changes: list[tuple[SimulatorPlace, ...]] = []
    simulators.on_change(lambda: changes.append(simulators.places))
    simulators.attach(holder, [SLOT])
    holder.answers = lambda event: simulators.acted(holder, event.act, [FULL], "")
    asyncio.run(simulators.play("slot", "adulte"))

    assert [("slot", "adulte")] == [(each.place, each.thing) for each in holder.told]
    assert [(SLOT,), (FULL,)] == changes


def test_a_simulator_that_refuses_is_quoted(simulators: Simulators) -> None:
    holder = Holder()
    simulators.attach(holder, [SLOT])
    holder.answers = lambda event: simulators.acted(holder, event.act, [SLOT], "the phone is locked")
    with pytest.raises(ReaderUnavailable, match="the phone is locked") as refused:
        asyncio.run(simulators.play("slot", None))
    assert "simulator" == refused.value.variant


def test_one_that_does_not_answer_or_goes_away_is_waited_for_no_longer(
    simulators: Simulators, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = Holder()
    simulators.attach(holder, [SLOT])
    holder.answers = lambda _: simulators.left(holder)
    with pytest.raises(ReaderUnavailable):
        asyncio.run(simulators.play("slot", "adulte"))
    assert not simulators.places

    monkeypatch.setattr(module, "PATIENCE", 0.01)
    silent = Holder(2)
    simulators.attach(silent, [SLOT])
    with pytest.raises(ReaderUnavailable):
        asyncio.run(simulators.play("slot", "adulte"))
    simulators.acted(silent, silent.told[0].act, [FULL], "")
    assert (FULL,) == simulators.places


def test_an_answer_that_is_refused_is_waited_for_no_longer(simulators: Simulators) -> None:
    holder, other = Holder(1), Holder(2)
    simulators.attach(holder, [SLOT])
    simulators.attach(other, [msgspec.structs.replace(SLOT, place="field")])

    def answers(event: SimulatorAct) -> None:
        with pytest.raises(InvalidParams):
            simulators.acted(holder, event.act, [SLOT, *simulators.places], "")

    holder.answers = answers
    with pytest.raises(ReaderUnavailable, match="two places have one name") as refused:
        asyncio.run(simulators.play("slot", "adulte"))
    assert "simulator" == refused.value.variant


def test_another_session_answers_for_nobody(simulators: Simulators, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    holder, other = Holder(1), Holder(2)
    simulators.attach(holder, [SLOT])
    holder.answers = lambda event: simulators.acted(other, event.act, [], "")
    with pytest.raises(ReaderUnavailable):
        asyncio.run(simulators.play("slot", "adulte"))


@pytest.mark.parametrize(("place", "thing"), [("field", "adulte"), ("slot", "vieillard")])
def test_what_is_not_there_is_not_played(simulators: Simulators, place: str, thing: str) -> None:
    holder = Holder()
    simulators.attach(holder, [SLOT])
    with pytest.raises(InvalidParams):
        asyncio.run(simulators.play(place, thing))
    assert [] == holder.told


def test_two_places_have_two_names(simulators: Simulators) -> None:
    with pytest.raises(InvalidParams):
        simulators.attach(Holder(1), [SLOT, FULL])
    simulators.attach(Holder(1), [SLOT])
    simulators.attach(Holder(1), [FULL])
    with pytest.raises(InvalidParams):
        simulators.attach(Holder(2), [SLOT])


@pytest.mark.parametrize("mode", ["production", "test"])
def test_only_a_simulated_station_is_played(mode: StationMode) -> None:
    simulators = Simulators(mode)
    acts: tuple[Callable[[], None], ...] = (
        lambda: simulators.attach(Holder(), [SLOT]),
        lambda: simulators.acted(Holder(), 1, [SLOT], ""),
        lambda: asyncio.run(simulators.play("slot", "adulte")),
    )
    for act in acts:
        with pytest.raises(SimulatedRefused) as refused:
            act()
        assert "control" == refused.value.variant
    assert () == simulators.places
