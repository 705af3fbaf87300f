"""The life of an application after its activation: a delegation withdrawn, a phone lost, a second phone."""

import random
from collections.abc import Callable

import pytest

from vitale_firmware_sim.apcv_service.contexts import ServiceContexts, ServiceRefusal
from vitale_firmware_sim.phone.application import Phone, phones
from vitale_firmware_sim.phone.card import PhoneRefusal
from vitale_firmware_sim.phone.user import PhoneUser
from vitale_firmware_sim.scenario import Scenario, load_scenario
from vitale_protocol.errors import ConfigurationInvalid

NOW = 1_795_000_000.0


@pytest.fixture
def scenario() -> Scenario:
    return load_scenario("famille")


@pytest.fixture
def every(scenario: Scenario) -> dict[str, Phone]:
    made = phones(scenario, NOW, random.Random(7).randbytes)
    for name in ("claire", "paul", "yvonne"):
        made[name].unlock(made[name].settings.code, NOW)
    return made


@pytest.fixture
def service(scenario: Scenario) -> ServiceContexts:
    return ServiceContexts(scenario, (str(number) for number in range(1_000)).__next__)


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(PhoneRefusal) as refusal:
        act()
    return str(refusal.value.data["why"])


def code(act: Callable[[], object]) -> str:
    with pytest.raises(ServiceRefusal) as refusal:
        act()
    return refusal.value.code


class TestWithdrawal:
    def test_nothing_is_presented_under_it_any_more(self, every: dict[str, Phone], service: ServiceContexts) -> None:
        every["claire"].present_for("yvonne", NOW)
        before = every["claire"].tap(NOW)
        every["claire"].receive(every["yvonne"].withdraw("claire", NOW))
        service.withdraw("yvonne", "claire")

        assert every["claire"].grants(NOW) == ()
        assert refused(lambda: every["claire"].tap(NOW)) == "delegation_ended"
        assert refused(lambda: every["claire"].qr(NOW)) == "delegation_ended"
        assert code(lambda: service.authenticate(before, NOW)) == "DELEGATION_ENDED"

    def test_a_phone_that_did_not_hear_of_it_is_refused_by_the_service(
        self, every: dict[str, Phone], service: ServiceContexts
    ) -> None:
        service.withdraw("yvonne", "claire")
        every["claire"].present_for("yvonne", NOW)
        assert code(lambda: service.authenticate(every["claire"].tap(NOW), NOW)) == "DELEGATION_ENDED"
        every["claire"].choose(0, NOW)
        assert service.authenticate(every["claire"].tap(NOW), NOW).delegate == ""

    def test_a_delegation_can_be_given_again(self, every: dict[str, Phone], service: ServiceContexts) -> None:
        every["claire"].receive(every["yvonne"].withdraw("claire", NOW))
        service.withdraw("yvonne", "claire")
        every["claire"].receive(every["yvonne"].delegate("claire", NOW, hours=1))
        service.delegate("yvonne", "claire")
        every["claire"].present_for("yvonne", NOW)
        assert service.authenticate(every["claire"].tap(NOW), NOW).delegate == "CLAIRE MERLE-ESSAI"

    def test_what_cannot_be_withdrawn(self, every: dict[str, Phone]) -> None:
        yvonne = every["yvonne"]
        assert refused(lambda: yvonne.withdraw("paul", NOW)) == "delegation_unknown"
        yvonne.withdraw("claire", NOW)
        assert refused(lambda: yvonne.withdraw("claire", NOW)) == "delegation_unknown"
        yvonne.delegate("paul", NOW, hours=0.01)
        yvonne.unlock(yvonne.settings.code, NOW + 100)
        assert refused(lambda: yvonne.withdraw("paul", NOW + 100)) == "delegation_ended"
        yvonne.lock(NOW + 100)
        assert refused(lambda: yvonne.withdraw("claire", NOW + 100)) == "not_now"


class TestLoss:
    def test_a_lost_phone_is_refused_whoever_it_presents_for(
        self, every: dict[str, Phone], service: ServiceContexts
    ) -> None:
        before = service.authenticate(every["claire"].tap(NOW), NOW)
        service.revoke("claire")
        assert code(lambda: service.authenticate(every["claire"].tap(NOW), NOW)) == "APPLICATION_REVOKED"
        every["claire"].present_for("yvonne", NOW)
        assert code(lambda: service.authenticate(every["claire"].tap(NOW), NOW)) == "APPLICATION_REVOKED"
        assert service.restore(before.identifiant, NOW) == before
        assert service.authenticate(every["yvonne"].tap(NOW), NOW).delegate == ""

    def test_nothing_of_its_owner_stays_on_it(self, every: dict[str, Phone]) -> None:
        claire = every["claire"]
        claire.revoke(NOW)
        assert claire.state(NOW) == "new"
        assert claire.grants(NOW) == ()
        assert refused(lambda: claire.unlock(claire.settings.code, NOW)) == "not_now"
        assert refused(lambda: claire.revoke(NOW)) == "not_now"

    def test_it_is_enrolled_again(self, scenario: Scenario, service: ServiceContexts) -> None:
        user = PhoneUser(scenario, "claire", clock=lambda: NOW, random=random.Random(7).randbytes)
        user.phone.revoke(NOW - 100 * 3600.0)
        service.revoke("claire")
        assert [state for _, state in user.enrol()][-1] == "locked"
        assert service.activate("claire") == ()
        assert service.authenticate(user.tap(), NOW).record.porteur == 0


def test_a_second_phone_revokes_the_first() -> None:
    scenario = load_scenario("incidents")
    service = ServiceContexts(scenario, (str(number) for number in range(1_000)).__next__)
    first, second = (
        PhoneUser(scenario, name, clock=lambda: NOW, random=random.Random(7).randbytes)
        for name in ("en-regle", "second")
    )
    assert [state for _, state in second.enrol(france_identite=True)] == ["new", "accepted", "locked"]
    assert service.activate("second") == ("en-regle",)
    assert code(lambda: service.authenticate(first.tap(), NOW)) == "APPLICATION_REVOKED"
    assert service.authenticate(second.tap(), NOW).record == second.settings.record()


@pytest.mark.parametrize("event", ["revoke", "activate"])
def test_a_phone_that_there_is_not_has_no_life(event: str, service: ServiceContexts) -> None:
    with pytest.raises(ConfigurationInvalid):
        getattr(service, event)("nobody")
    for pair in (("nobody", "claire"), ("claire", "nobody")):
        with pytest.raises(ConfigurationInvalid):
            service.withdraw(*pair)
        with pytest.raises(ConfigurationInvalid):
            service.delegate(*pair)
