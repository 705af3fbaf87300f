"""The hand that holds a phone, and the scenarios that say whose it is."""

import random
from typing import Any

import msgspec
import pytest

from vitale_firmware_sim.apcv_service.contexts import ServiceContexts
from vitale_firmware_sim.phone.card import PhoneRefusal
from vitale_firmware_sim.phone.states import UNLOCKED_FOR
from vitale_firmware_sim.phone.user import PhoneUser
from vitale_firmware_sim.scenario import BEHAVIOURS, Scenario, load_scenario, parse_scenario, scenario_names
from vitale_protocol.errors import ConfigurationInvalid
from vitale_protocol.media.nir import read_nir

NOW = 1_795_000_000.0

LEAST = """
secret = "un secret"
[[phones]]
id = "a"
[phones.assure]
nir = "1770413990101"
[[phones.beneficiaires]]
prenom = "ALAIN"
[[phones]]
id = "b"
[phones.assure]
[[phones.beneficiaires]]
prenom = "BRUNO"
"""


def phone_user(
    scenario: str = "famille", phone: str = "", clock: list[float] | None = None, **options: Any
) -> PhoneUser:
    time = clock or [NOW]
    return PhoneUser(
        load_scenario(scenario), phone, clock=lambda: time[0], random=random.Random(3).randbytes, **options
    )


class TestHand:
    def test_the_first_phone_is_unlocked_again_and_again(self) -> None:
        clock = [NOW]
        held = phone_user(clock=clock)
        assert held.settings.id == "claire"
        strings = set[bytes]()
        for _ in range(5):
            clock[0] += UNLOCKED_FOR / 2 + 1
            strings.add(held.tap())
        assert len(strings) == 5

    def test_left_locked_it_refuses(self) -> None:
        with pytest.raises(PhoneRefusal):
            phone_user(locked=True).tap()

    def test_a_dependant_and_a_delegation_are_shown(self) -> None:
        contexts = ServiceContexts(load_scenario("famille"), iter("abcdef").__next__)
        assert contexts.authenticate(phone_user(porteur=2).tap(), NOW).record.porteur == 2
        assert contexts.authenticate(phone_user(present_for="yvonne").tap(), NOW).delegate == "CLAIRE MERLE-ESSAI"
        with pytest.raises(PhoneRefusal):
            phone_user(phone="paul", present_for="yvonne").tap()

    def test_a_new_phone_is_enrolled(self) -> None:
        held = phone_user(phone="lina")
        with pytest.raises(PhoneRefusal):
            held.tap()
        assert [state for _, state in held.enrol()] == ["new", "identified", "pending", "accepted", "locked"]
        assert held.tap()

    def test_who_may_have_none_is_not_enrolled(self) -> None:
        with pytest.raises(PhoneRefusal) as refused:
            list(phone_user(phone="hugo").enrol())
        assert refused.value.data["why"] == "too_young"

    def test_no_such_phone(self) -> None:
        with pytest.raises(ConfigurationInvalid, match="claire, paul"):
            phone_user(phone="nobody")


@pytest.mark.parametrize("name", scenario_names())
class TestShippedScenarios:
    def test_everybody_has_a_nir_with_its_key(self, name: str) -> None:
        for phone in load_scenario(name).phones:
            assert read_nir(f"{phone.assure.nir}{phone.assure.cle_nir}").warnings == ()
            assert phone.owner.nir_certifie == phone.assure.nir
            for person in phone.beneficiaires:
                assert read_nir(f"{person.nir_certifie}{person.cle_nir_certifie}").warnings == ()

    def test_rights_are_in_the_words_of_the_record(self, name: str) -> None:
        for phone in load_scenario(name).phones:
            assert (phone.assure.code_regime, phone.assure.caisse_gestionnaire) in {("01", "349"), ("02", "999")}
            for person in phone.beneficiaires:
                assert person.droits_amo
                assert person.couvertures

    def test_it_describes_itself(self, name: str) -> None:
        assert load_scenario(name).description


def test_the_shipped_scenarios_show_what_there_is_to_show() -> None:
    family, incidents = load_scenario("famille"), load_scenario("incidents")
    assert any(len(phone.beneficiaires) > 2 for phone in family.phones)
    assert any(person.mutuelle and person.amc for phone in family.phones for person in phone.beneficiaires)
    assert {phone.state for phone in family.phones} == {"new", "active"}
    assert {phone.standing for phone in incidents.phones} == {"good", "expired", "revoked", "suspended"}
    assert any(phone.rights_age_hours > 24 for phone in incidents.phones)


class TestScenario:
    def test_the_least_there_is(self) -> None:
        scenario = parse_scenario("moi", LEAST.encode())

        assert (scenario.name, scenario.service.behaviour) == ("moi", "normal")
        assert scenario.phone("b").owner.prenom == "BRUNO"

    @pytest.mark.parametrize(
        ("old", "new", "place"),
        [
            ('secret = "un secret"', "", "$"),
            ('secret = "un secret"', 'secret = "court"', "$.secret"),
            ('id = "b"', 'id = "a"', "$.phones[1].id"),
            ('id = "b"', 'id = "B"', "$.phones[1].id"),
            ('id = "b"', 'id = "b"\ncode = "12345"', "$.phones[1].code"),
            ('id = "b"', 'id = "b"\ndelegations = [{ to = "c" }]', "$.phones[1].delegations[0].to"),
            ('id = "b"', 'id = "b"\ndelegations = [{ to = "b" }]', "$.phones[1].delegations[0].to"),
            ('prenom = "BRUNO"', 'prenon = "BRUNO"', "$.phones[1].beneficiaires"),
            ('prenom = "BRUNO"', "droits_amo = [{ de = '20260101' }]", "$.phones[1].beneficiaires"),
            ('nir = "1770413990101"', "nir = 1770413990101", "$.phones[0].assure.nir"),
            ("[[phones]]", "[service]\nbehaviour = 'rude'\n[[phones]]", "$.service.behaviour"),
        ],
    )
    def test_what_is_none_and_where(self, old: str, new: str, place: str) -> None:
        assert old in LEAST
        with pytest.raises(ConfigurationInvalid) as invalid:
            parse_scenario("moi", LEAST.replace(old, new, 1).encode())

        assert invalid.value.data == {"file": "moi", "path": place}
        assert "1770413990101" not in invalid.value.detail

    @pytest.mark.parametrize("content", [b"\xff", b"[[", b"a = " + b"[" * 10_000, b"#" * 300_000, b""], ids=range(5))
    def test_what_is_no_toml(self, content: bytes) -> None:
        with pytest.raises(ConfigurationInvalid):
            parse_scenario("moi", content)

    @pytest.mark.parametrize("name", ["inconnu", "inconnu.toml", "\0.toml"])
    def test_what_is_not_there(self, name: str) -> None:
        with pytest.raises(ConfigurationInvalid):
            load_scenario(name)

    def test_a_file(self, tmp_path: Any) -> None:
        file = tmp_path / "moi.toml"
        file.write_text(LEAST, "utf-8")
        loaded: Scenario = load_scenario(str(file))
        assert msgspec.structs.replace(loaded, name="") == msgspec.structs.replace(
            parse_scenario("x", LEAST.encode()), name=""
        )

    def test_every_behaviour_can_be_written(self) -> None:
        for behaviour in BEHAVIOURS:
            text = f"{LEAST}\n[service]\nbehaviour = '{behaviour}'\n"
            assert parse_scenario("moi", text.encode()).service.behaviour == behaviour
