"""The card's manners under T=0, command by command."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_drivers.cards.channel import Channel
from vitale_firmware_sim.card.card import Card
from vitale_firmware_sim.card.images import image_names, load_image
from vitale_protocol import tlv
from vitale_protocol.apdu import Response
from vitale_protocol.errors import MediumUnsupported
from vitale_protocol.media import interpret, reading_script, recognise

VITALE = "00A404000BD250000002564954414C45"
MF_VITALE = "00A404000ED2500000024D465F564954414C45"
ADELE = "00A404000CD25000000441" + "64E86C650101"


@pytest.fixture
def card() -> Card:
    return Card(load_image("adulte"))


def say(card: Card, *commands: str) -> list[str]:
    return [card.transmit(bytes.fromhex(command)).hex().upper() for command in commands]


def statuses(card: Card, *commands: str) -> list[str]:
    return [answer[-4:] for answer in say(card, *commands)]


def test_what_a_select_gives_waits_for_get_response(card: Card) -> None:
    select, response, again = say(card, "00A40000023F00", "00C0000018", "00C0000018")
    assert select == "6118"
    (fci,) = tlv.parse(bytes.fromhex(response)[:-2])
    assert response.endswith("9000")
    assert [(one.tag, one.value) for one in fci.children] == [
        (0x82, b"\x38"),
        (0x84, bytes.fromhex("D2500000024D465F564954414C45")),
        (0x8A, b"\x05"),
    ]
    assert again == "6985"


def test_the_published_node_sequence_to_the_letter(card: Card) -> None:
    answers = say(card, MF_VITALE + "00", "00A4020002D00100", "00C000001E", "00B0000023")
    assert [answer[-4:] for answer in answers] == ["6118", "611E", "9000", "9000"]
    assert len(answers[2]) == 2 * 32
    assert len(answers[3]) == 2 * (0x23 + 2)


def test_get_response_takes_parts_and_corrects_le(card: Card) -> None:
    assert statuses(card, "00A40000023F00", "00C0000100", "00C0000000", "00C0000008", "00C00000FF", "00C0000010") == [
        "6118",
        "6A86",
        "6C18",
        "6110",
        "6C10",
        "9000",
    ]


def test_another_command_forgets_what_waited(card: Card) -> None:
    assert statuses(card, "00A40000023F00", "00B0000001", "00C0000018") == ["6118", "6986", "6985"]


def test_a_select_may_ask_for_nothing_or_for_other_information(card: Card) -> None:
    assert statuses(card, "00A4000C023F00", "00A40004023F00", "00A40008023F00") == ["9000", "6118", "6118"]


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("00A40000", "6118"),
        ("00A4000000", "6118"),
        ("00A4000002D001", "611E"),
        ("00A40200022F00", "611B"),
        ("00A4080002D001", "611E"),
        ("00A4090002D001", "611E"),
        ("00A40300", "6118"),
        ("00A4030002D001", "6700"),
        ("00A4010002D001", "6A82"),
        ("00A4010001D0", "6700"),
        ("00A4020002BEEF", "6A82"),
        ("00A40200023F", "6700"),
        ("00A40200013F", "6700"),
        ("00A4040005D250000002", "6118"),
        ("00A4040005D250000004", "6116"),
        ("00A4040005D250000009", "6A82"),
        ("00A4040004D2500000", "6700"),
        ("00A40401" + "05D250000002", "6A86"),
        ("00A4040205D250000002", "6A82"),
        ("00A4041005D250000002", "6A86"),
        ("00A40500023F00", "6A86"),
        (ADELE, "6116"),
    ],
)
def test_select(card: Card, command: str, status: str) -> None:
    # P2 = 01, "last occurrence", is refused like "next": one name, one application.
    expected = "6A82" if command.startswith("00A40401") else status
    assert statuses(card, command) == [expected]


def test_a_select_that_fails_changes_nothing(card: Card) -> None:
    assert statuses(card, VITALE, "00A4020002D001", "00A40200022001", "00A40200022002") == [
        "6115",
        "6A82",
        "611E",
        "611E",
    ]


def test_read_binary_by_short_identifier_and_by_offset(card: Card) -> None:
    wrong, whole, part, beyond, past = say(card, "00B0820000", "00B082002B", "00B0000504", "00B0002B01", "00B0100001")
    assert wrong == "6C2B"
    assert whole.endswith("9000")
    assert part == whole[10:18] + "9000"
    assert (beyond, past) == ("6B00", "6B00")
    assert statuses(card, "00B0002900", "00B08229FF", "00B0820501") == ["6C02", "6C02", "9000"]


def test_a_long_file_is_given_256_bytes_at_a_time() -> None:
    card = Card(load_image("dix-neuf"))
    answers = say(card, "00B0820000", "00B0010000", "00B0020000", "00B0030000", "00B0031C00")
    assert [(len(answer) // 2 - 2, answer[-4:]) for answer in answers[:4]] == [
        (256, "9000"),
        (256, "9000"),
        (256, "9000"),
        (0, "6C1C"),
    ]
    assert answers[4] == "6B00"


@pytest.mark.parametrize(
    ("commands", "status"),
    [
        (["00B0000001"], "6986"),
        (["00B0800001"], "6986"),
        (["00B0850001"], "6A82"),
        (["00B0E20001"], "6A86"),
        (["00B2010400"], "6986"),
        (["00B0820001", "00B2010400"], "6981"),
        ([VITALE, "00A4020002" + "2010", "00B0000000"], "6982"),
        ([ADELE, "00A4020002" + "5010", "00B0000000"], "6982"),
        (["00D600000141"], "6982"),
        (["0020000000"], "6D00"),
        (["0084000008"], "6D00"),
        (["80B0820000"], "6E00"),
        (["BCC0000008"], "6E00"),
        (["FFCA000000"], "6E00"),
        (["01B0820000"], "6881"),
        (["0CB0820000"], "6882"),
        (["10A40000023F00"], "6884"),
        (["00B08200" + "0141"], "6700"),
        (["00A40000033F00"], "6700"),
        (["00A40000023F000000"], "6700"),
        (["00A4000000000001"], "6700"),
        (["00"], "6700"),
        ([""], "6700"),
    ],
)
def test_refusals(card: Card, commands: list[str], status: str) -> None:
    assert statuses(card, *commands)[-1] == status


def test_a_reset_forgets_what_was_selected(card: Card) -> None:
    assert statuses(card, "00B0820001", "00B0000001") == ["9000", "9000"]
    assert card.reset() == bytes.fromhex("3B751300004409EA9000")
    assert statuses(card, "00B0000001", "00C0000001") == ["6986", "6985"]


@pytest.mark.parametrize("name", ["vitale-1", "cps"])
def test_a_card_of_which_only_the_atr_is_known_refuses_everything(name: str) -> None:
    card = Card(load_image(name))
    assert statuses(card, "00A40000023F00", "BCC0000008") == ["6E00", "6E00"]
    with pytest.raises(MediumUnsupported):
        reading_script(card.reset())


@pytest.mark.parametrize("name", [name for name in image_names() if load_image(name).beneficiaires])
@pytest.mark.parametrize("t0", [True, False])
def test_every_image_is_read_back(name: str, t0: bool) -> None:
    image = load_image(name)
    card = Card(image)
    medium = recognise(card.reset()).medium
    reading = interpret(medium, Channel(card.transmit, t0=t0).run(reading_script(image.atr)), simulated=True)
    assert reading.record.beneficiaires is not None
    assert [
        (one.nom_usuel, one.prenom, one.date_naissance, one.nationalite, f"{one.nir}{one.cle_nir}")
        for one in reading.record.beneficiaires
    ] == [(one.nom, one.prenom, one.date_naissance, one.nationalite, one.nir) for one in image.beneficiaires]
    assert reading.record.assure is not None
    assert reading.record.assure.date_debut_validite == image.date_debut_validite
    assert reading.warnings == (("nir_unusual", "birth_date_not_calendar") if name == "date-fictive" else ())


HEADERS = st.tuples(
    st.sampled_from([0x00, 0x00, 0x00, 0x01, 0x80]),
    st.sampled_from([0xA4, 0xB0, 0xC0, 0xB2, 0xD6, 0x20]),
    st.integers(0, 255),
    st.integers(0, 255),
).map(bytes)
APDUS = st.binary(max_size=20) | st.builds(bytes.__add__, HEADERS, st.binary(max_size=20))


@given(st.lists(APDUS, max_size=30))
def test_whatever_it_is_told_it_answers_with_a_response(apdus: list[bytes]) -> None:
    card = Card(load_image("famille"))
    for apdu in apdus:
        response = Response.parse(card.transmit(apdu))
        assert response.sw1 in {0x90, *range(0x61, 0x70)}
        assert not response.data or response.ok or response.sw1 == 0x61
        assert len(response.data) <= 256
