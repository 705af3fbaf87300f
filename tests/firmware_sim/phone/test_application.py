"""The application on the simulated phone: every way through its states, and every way it refuses."""

import datetime as dt
import itertools
import random
from collections.abc import Callable
from functools import partial
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_firmware_sim.apcv_service.contexts import ServiceContexts
from vitale_firmware_sim.phone.application import (
    LONGEST_DELEGATION,
    QR_RENEWS_EVERY,
    RECEIPTS_FOR,
    ActiveDelegation,
    Phone,
    Receipt,
    phones,
)
from vitale_firmware_sim.phone.card import PhoneRefusal
from vitale_firmware_sim.phone.states import DECIDED_WITHIN, TABLE, UNLOCKED_FOR, Event, PhoneState, PhoneStates
from vitale_firmware_sim.phone.strings import Handle, StringSealer, StringUnknown
from vitale_firmware_sim.scenario import Scenario, load_scenario

NOW = 1_795_000_000.0
HOUR = 3600.0


@pytest.fixture
def scenario() -> Scenario:
    return load_scenario("famille")


@pytest.fixture
def every(scenario: Scenario) -> dict[str, Phone]:
    return phones(scenario, NOW, random.Random(7).randbytes)


@pytest.fixture
def claire(every: dict[str, Phone]) -> Phone:
    """Unlocked."""
    every["claire"].unlock("4821", NOW)
    return every["claire"]


@pytest.fixture
def lina(every: dict[str, Phone]) -> Phone:
    """To be enrolled."""
    return every["lina"]


def opened(scenario: Scenario, string: bytes) -> Handle:
    return StringSealer(scenario.secret).open(string)


def refused(act: Callable[[], object]) -> dict[str, object]:
    with pytest.raises(PhoneRefusal) as refusal:
        act()
    return dict(refusal.value.data)


def identified(phone: Phone) -> Phone:
    phone.identify(nir_of(phone), phone.settings.email_code, NOW)
    return phone


def nir_of(phone: Phone) -> str:
    return f"{phone.settings.owner.nir_certifie}{phone.settings.owner.cle_nir_certifie}"


class TestEnrolment:
    def test_from_new_to_unlocked(self, lina: Phone) -> None:
        assert lina.state(NOW) == "new"
        lina.identify(nir_of(lina), "618033", NOW)
        assert lina.state(NOW) == "identified"
        lina.send_document_and_face(NOW)
        assert lina.state(NOW + 47 * HOUR) == "pending"
        lina.decide(NOW + 47 * HOUR, document=True, face=True)
        assert lina.state(NOW + 1000 * HOUR) == "accepted"
        lina.activate("0042", NOW + 1000 * HOUR, biometrics=True)
        assert lina.state(NOW + 1000 * HOUR) == "locked"
        lina.unlock("0042", NOW + 1000 * HOUR)
        assert lina.state(NOW + 1000 * HOUR) == "unlocked"

    def test_the_nir_is_checked_with_its_key(self, lina: Phone) -> None:
        right = nir_of(lina)
        for wrong in (right[:13], right[:13] + f"{(int(right[13:]) + 1) % 97:02}", "284061399041246", "", "x" * 15):
            assert refused(partial(lina.identify, wrong, "618033", NOW))["why"] == "nir_wrong"
        assert lina.state(NOW) == "new"

    def test_the_code_came_by_post(self, lina: Phone) -> None:
        assert refused(lambda: lina.identify(nir_of(lina), "618034", NOW))["why"] == "email_code_wrong"

    @pytest.mark.parametrize(("document", "face"), [(True, False), (False, True), (False, False)])
    def test_what_the_operator_refuses_is_sent_again(self, document: bool, face: bool, lina: Phone) -> None:
        identified(lina).send_document_and_face(NOW)
        lina.decide(NOW + HOUR, document=document, face=face)
        assert lina.state(NOW + HOUR) == "identified"
        lina.send_document_and_face(NOW + HOUR)
        assert lina.state(NOW + HOUR) == "pending"

    def test_nobody_decides_after_48_hours(self, lina: Phone) -> None:
        identified(lina).send_document_and_face(NOW)
        assert lina.state(NOW + DECIDED_WITHIN - 1) == "pending"
        late = NOW + DECIDED_WITHIN
        assert refused(lambda: lina.decide(late, document=True, face=True)) == {"state": "identified", "why": "not_now"}

    def test_france_identite_is_the_short_cut(self, lina: Phone) -> None:
        lina.france_identite(NOW)
        assert lina.state(NOW) == "accepted"

    @pytest.mark.parametrize(
        ("born", "hours"),
        [("20090714", 2), ("20090114", 1), ("20090330", 1), ("20090331", 2), ("20091026", 2), ("20091027", 1)],
        ids=["summer", "winter", "before spring", "spring", "before autumn", "autumn"],
    )
    def test_from_the_sixteenth_birthday_as_it_begins_in_france(
        self, born: str, hours: int, scenario: Scenario
    ) -> None:
        settings = scenario.phone("lina")
        owner = msgspec.structs.replace(settings.owner, date_naissance=born)
        settings = msgspec.structs.replace(settings, beneficiaires=(owner,))
        lina = Phone(settings, StringSealer(scenario.secret), random.Random(7).randbytes)
        day = dt.datetime(int(born[:4]) + 16, int(born[4:6]), int(born[6:]), tzinfo=dt.UTC)
        birthday = day.timestamp() - hours * HOUR
        assert refused(lambda: lina.france_identite(birthday - 24 * HOUR))["why"] == "too_young"
        assert refused(lambda: lina.identify(nir_of(lina), "618033", birthday - 1))["why"] == "too_young"
        lina.france_identite(birthday)

    @pytest.mark.parametrize(("born", "why"), [("19421901", None), ("20121901", "too_young"), ("?", "too_young")])
    def test_a_birthday_that_no_calendar_has(self, born: str, why: str | None, scenario: Scenario) -> None:
        settings = scenario.phone("lina")
        owner = msgspec.structs.replace(settings.owner, date_naissance=born)
        settings = msgspec.structs.replace(settings, beneficiaires=(owner,))
        phone = Phone(settings, StringSealer(scenario.secret), random.Random(7).randbytes)
        if why is None:
            phone.france_identite(NOW)
        else:
            assert refused(lambda: phone.france_identite(NOW))["why"] == why

    def test_without_an_account_of_ones_own(self, scenario: Scenario) -> None:
        settings = msgspec.structs.replace(scenario.phone("lina"), account=False)
        phone = Phone(settings, StringSealer(scenario.secret), random.Random(7).randbytes)

        assert refused(lambda: phone.identify(nir_of(phone), "618033", NOW))["why"] == "no_account"

    @pytest.mark.parametrize("code", ["", "123", "12345", "12a4", "١٢٣٤"])
    def test_a_code_is_four_digits(self, code: str, lina: Phone) -> None:
        lina.france_identite(NOW)
        assert refused(lambda: lina.activate(code, NOW))["why"] == "code_format"
        assert lina.state(NOW) == "accepted"


class TestLocking:
    def test_unlocked_for_a_while(self, claire: Phone) -> None:
        assert claire.state(NOW + UNLOCKED_FOR - 0.1) == "unlocked"
        assert claire.state(NOW + UNLOCKED_FOR) == "locked"

    def test_unlocking_again_begins_the_while_again(self, claire: Phone) -> None:
        claire.unlock("4821", NOW + UNLOCKED_FOR - 1)
        assert claire.state(NOW + UNLOCKED_FOR) == "unlocked"
        for _ in range(3):
            assert refused(lambda: claire.unlock("0000", NOW + UNLOCKED_FOR))["why"] == "code_wrong"
        assert claire.state(NOW + UNLOCKED_FOR) == "blocked"

    def test_locked_at_once(self, claire: Phone) -> None:
        claire.lock(NOW)
        assert claire.state(NOW) == "locked"
        claire.unlock_by_biometrics(NOW)
        assert claire.state(NOW) == "unlocked"

    def test_without_biometrics(self, every: dict[str, Phone]) -> None:
        assert refused(lambda: every["paul"].unlock_by_biometrics(NOW))["why"] == "biometrics_off"

    def test_three_wrong_codes_block(self, every: dict[str, Phone]) -> None:
        paul = every["paul"]
        said = [refused(lambda: paul.unlock("0000", NOW)) for _ in range(3)]

        assert [one["left"] for one in said] == [2, 1, 0]
        assert said[-1] == {"state": "blocked", "why": "code_wrong", "left": 0}
        assert refused(lambda: paul.unlock("7305", NOW))["why"] == "not_now"
        identified(paul)
        assert paul.state(NOW) == "identified"

    def test_a_right_code_forgives_the_wrong_ones(self, every: dict[str, Phone]) -> None:
        paul = every["paul"]
        for _ in range(3):
            for left in (2, 1):
                assert refused(lambda: paul.unlock("0000", NOW))["left"] == left
            paul.unlock("7305", NOW)
            paul.lock(NOW)

    def test_no_refusal_tells_whose_phone_it_is(self, every: dict[str, Phone]) -> None:
        with pytest.raises(PhoneRefusal) as refusal:
            every["lina"].identify("284061399041246", "1", NOW)

        assert "28406" not in str(refusal.value)
        assert "PINSON" not in str(refusal.value)


class TestPresenting:
    def test_each_tap_has_a_string_of_its_own(self, claire: Phone, scenario: Scenario) -> None:
        strings = {claire.tap(NOW + second) for second in range(100)}

        assert len(strings) == 100
        assert opened(scenario, claire.tap(NOW + 5)) == Handle("claire", "claire", 0, NOW + 5)

    def test_strings_are_alike_and_say_nothing(self, claire: Phone, every: dict[str, Phone]) -> None:
        every["paul"].unlock("7305", NOW)
        claire.choose(1, NOW)
        one, other = claire.tap(NOW), every["paul"].tap(NOW)

        assert len(one) == len(other) == 218
        assert one.isascii()
        assert b"claire" not in one

    def test_the_qr_code_renews_itself(self, claire: Phone) -> None:
        first = claire.qr(NOW)
        assert first.renews_at == NOW + QR_RENEWS_EVERY
        assert claire.qr(NOW + QR_RENEWS_EVERY - 1) == first
        assert claire.qr(NOW + QR_RENEWS_EVERY).string != first.string

    def test_nothing_is_shown_while_locked(self, claire: Phone) -> None:
        shown = claire.qr(NOW)
        claire.lock(NOW)
        for act in (
            lambda: claire.tap(NOW),
            lambda: claire.qr(NOW),
            lambda: claire.record(NOW),
            lambda: claire.receipts(NOW),
            lambda: claire.choose(0, NOW),
            lambda: claire.present_for("yvonne", NOW),
            lambda: claire.delegate("paul", NOW, hours=1),
        ):
            assert refused(act) == {"state": "locked", "why": "not_now"}
        claire.unlock("4821", NOW)
        assert claire.qr(NOW).string != shown.string

    def test_a_dependant_is_chosen(self, claire: Phone, scenario: Scenario) -> None:
        before = claire.qr(NOW)
        claire.choose(2, NOW)

        assert opened(scenario, claire.tap(NOW)).porteur == 2
        assert claire.record(NOW).porteur == 2
        assert opened(scenario, claire.qr(NOW).string).porteur == 2
        assert before.string != claire.qr(NOW).string
        for nobody in (-1, 3):
            assert refused(partial(claire.choose, nobody, NOW))["why"] == "nobody"

    def test_the_service_understands_what_is_shown(self, claire: Phone, scenario: Scenario) -> None:
        contexts = ServiceContexts(scenario, itertools.count().__next__.__str__)
        claire.choose(1, NOW)

        assert contexts.authenticate(claire.tap(NOW), NOW + 1).record == claire.record(NOW)
        assert contexts.authenticate(claire.qr(NOW).string, NOW + 1).delegate == ""


class TestDelegation:
    def test_a_trusted_person_presents(self, claire: Phone, scenario: Scenario) -> None:
        assert [one.owner for one in claire.grants(NOW)] == ["yvonne"]
        claire.present_for("yvonne", NOW)

        assert opened(scenario, claire.tap(NOW)) == Handle("yvonne", "claire", 0, NOW, NOW + 24 * HOUR)
        context = ServiceContexts(scenario, iter("abcd").__next__).authenticate(claire.tap(NOW), NOW)
        assert context.delegate == "CLAIRE MERLE-ESSAI"
        claire.choose(0, NOW)
        assert opened(scenario, claire.tap(NOW)).owner == "claire"

    def test_it_ends(self, claire: Phone) -> None:
        late = NOW + 24 * HOUR
        claire.state(late - 1)
        claire.unlock_by_biometrics(late - 1)
        claire.present_for("yvonne", late - 1)
        claire.qr(late - 1)

        assert claire.grants(late) == ()
        assert refused(lambda: claire.tap(late))["why"] == "delegation_ended"
        assert refused(lambda: claire.qr(late))["why"] == "delegation_ended"
        assert refused(lambda: claire.present_for("yvonne", late))["why"] == "delegation_ended"

    def test_it_is_granted_on_the_phone(self, claire: Phone, every: dict[str, Phone]) -> None:
        grant = claire.delegate("paul", NOW, hours=2)
        assert grant == ActiveDelegation("claire", "paul", NOW + 2 * HOUR)
        every["paul"].receive(grant)
        assert grant in every["paul"].grants(NOW)
        assert refused(lambda: every["lina"].receive(grant))["why"] == "delegation_unknown"

    @pytest.mark.parametrize("hours", [0, -1, LONGEST_DELEGATION / HOUR + 0.1])
    def test_for_a_limited_time_only(self, hours: float, claire: Phone) -> None:
        assert refused(lambda: claire.delegate("paul", NOW, hours=hours))["why"] == "delegation_too_long"
        assert refused(lambda: claire.delegate("claire", NOW, hours=1))["why"] == "nobody"

    def test_nobody_presents_for_a_stranger(self, claire: Phone) -> None:
        assert refused(lambda: claire.present_for("paul", NOW))["why"] == "delegation_unknown"


def test_receipts_for_seven_days(claire: Phone) -> None:
    old, new = Receipt(NOW - RECEIPTS_FOR, "DR ESSAI", 3000), Receipt(NOW, "PHARMACIE DE L'ESSAI", 1250)
    claire.keep(new)
    claire.keep(old)

    assert claire.receipts(NOW) == (old, new)
    assert claire.receipts(NOW + 1) == (new,)
    assert "ESSAI" not in repr(old)


class TestTable:
    @pytest.mark.parametrize("state", get_args(PhoneState))
    @pytest.mark.parametrize("event", get_args(Event))
    def test_what_is_not_in_the_table_is_refused(self, state: PhoneState, event: Event) -> None:
        states = PhoneStates(state)
        if (state, event) in TABLE:
            states.go(event, 0.0)
            assert states.now(0.0) == TABLE[state, event]
        else:
            assert refused(lambda: states.go(event, 0.0)) == {"state": state, "why": "not_now"}

    def test_every_state_can_be_left_and_reached(self) -> None:
        every = set(get_args(PhoneState))
        assert {state for state, _ in TABLE} == every
        assert {*TABLE.values(), "new"} == every

    @given(st.lists(st.tuples(st.sampled_from(get_args(Event)), st.floats(0, 3 * 24 * HOUR)), max_size=40))
    def test_whatever_comes_it_is_in_one_state_and_answers_only_unlocked(
        self, events: list[tuple[Event, float]]
    ) -> None:
        states, now = PhoneStates("new"), NOW
        for event, later in events:
            now += later
            before = states.now(now)
            try:
                states.go(event, now)
            except PhoneRefusal:
                assert (before, event) not in TABLE
                assert states.now(now) == before
            else:
                assert states.now(now) == TABLE[before, event]


@given(st.binary(max_size=300))
def test_no_other_bytes_are_a_string(noise: bytes) -> None:
    with pytest.raises(StringUnknown):
        StringSealer("un secret").open(noise)


def test_a_string_that_was_touched_is_none(claire: Phone, scenario: Scenario) -> None:
    string = claire.tap(NOW)
    for at in range(0, len(string), 7):
        touched = string[:at] + bytes((string[at] ^ 1,)) + string[at + 1 :]
        with pytest.raises(StringUnknown):
            opened(scenario, touched)
    for other in (string + b"=", string + b"====", b" " + string, string + b"\n"):
        with pytest.raises(StringUnknown):
            opened(scenario, other)
