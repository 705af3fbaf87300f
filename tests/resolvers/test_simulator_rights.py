"""Rights as the simulated service sends them: read, absent, or refused without a word of them."""

import datetime as dt

import pytest
from lxml import etree

from vitale_protocol.errors import ResolverUnavailable
from vitale_reader.resolvers.licensed_plugins import Element
from vitale_reader.resolvers.simulator_rights import NAMESPACE, SimulatorRights

RECORD = '{"beneficiaires": [{"prenom": "CLAIRE"}], "porteur": 0}'


def body(attributes: str = "", text: str = RECORD) -> Element:
    parsed: Element = etree.fromstring(f'<body><s:droits xmlns:s="{NAMESPACE}" {attributes}>{text}</s:droits></body>')
    return parsed


def test_rights_are_read() -> None:
    rights = SimulatorRights({}).read(body('au="2026-11-22T01:00:00+02:00" delegataire="PAUL"'))
    assert rights.record.beneficiaires is not None
    assert [person.prenom for person in rights.record.beneficiaires] == ["CLAIRE"]
    assert (rights.delegate, rights.origin) == ("PAUL", "simulated")
    assert rights.rights_at == dt.datetime(2026, 11, 21, 23, tzinfo=dt.UTC)


def test_an_answer_without_rights_is_simulated_all_the_same() -> None:
    rights = SimulatorRights({}).read(etree.fromstring("<body/>"))
    assert (rights.record.beneficiaires, rights.rights_at, rights.origin) == (None, None, "simulated")


def test_an_element_without_content_has_no_rights_and_no_time() -> None:
    rights = SimulatorRights({}).read(body(text=""))
    assert (rights.record.beneficiaires, rights.rights_at) == (None, None)


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        ("", "CANARY"),
        ("", '{"beneficiaires": "CANARY"}'),
        ('au="CANARY"', RECORD),
        ('au="2026-13-45T00:00:00Z"', '{"beneficiaires": [{"prenom": "CANARY"}]}'),
    ],
)
def test_rights_that_cannot_be_read_are_refused_and_not_quoted(attributes: str, text: str) -> None:
    with pytest.raises(ResolverUnavailable) as refused:
        SimulatorRights({}).read(body(attributes, text))
    assert refused.value.variant == "unreadable"
    assert "CANARY" not in repr(refused.value) + str(refused.value.detail)
    assert (refused.value.__cause__, refused.value.__context__) == (None, None)
