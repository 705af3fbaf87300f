"""The carte Vitale: recognised strictly, read as the field does, said without judging."""

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_drivers.cards.channel import Channel
from vitale_firmware_sim.card.card import Card
from vitale_firmware_sim.card.faults import FaultyCard, parse_faults
from vitale_firmware_sim.card.images import load_image
from vitale_protocol import tlv
from vitale_protocol.apdu import Command, Response, StatusWord
from vitale_protocol.errors import MediumMute, MediumUnreadable, MediumUnsupported
from vitale_protocol.media import Recognised, interpret, reading_script, recognise, vitale_card
from vitale_protocol.media.pointers import parse_pointers
from vitale_protocol.records import Beneficiaire, Proof

ATR = bytes.fromhex("3B751300004509EA9000")
Answer = Callable[[Command], Response]


def person(*fields: tuple[int, bytes]) -> bytes:
    return tlv.encode(0x65, [tlv.encode(tag, value) for tag, value in fields])


IDENTITY = person((0x80, b"ESSAI"), (0x81, b"ANNE"), (0x82, b"19850714"))
NIR = person((0x93, b"285071399032107"))


def run(answer: Answer) -> tuple[dict[str, bytes], list[Command]]:
    """Runs the script against final responses; a bare stand-in for the channel."""
    script = reading_script(ATR)
    seen: list[Command] = []
    try:
        command = next(script)
        while True:
            seen.append(command)
            command = script.send(answer(command))
    except StopIteration as end:
        evidence: dict[str, bytes] = end.value
        return evidence, seen


def selecting(files: dict[bytes, bytes], *, step: int = 256) -> Answer:
    """A card of final responses: what was selected last decides what READ BINARY gives."""
    selected = b""

    def answer(command: Command) -> Response:
        nonlocal selected
        if command.ins == 0xA4:
            if command.data not in files:
                return Response(b"", StatusWord.FILE_OR_APPLICATION_NOT_FOUND)
            selected = command.data
            return Response(b"", StatusWord.OK)
        offset = 0 if command.p1 & 0x80 else command.p1 << 8 | command.p2
        content = files[selected][offset : offset + min(step, command.le or 0)]
        return Response(content, StatusWord.OK if content else StatusWord.WRONG_OFFSET)

    return answer


ROOT, D001 = b"\x3f\x00", b"\xd0\x01"
BOTH = {ROOT: IDENTITY, vitale_card.AID_VITALE: NIR}


@pytest.mark.parametrize("fourth", range(0x40, 0x50))
@pytest.mark.parametrize("eighth", ["EA", "FA"])
def test_a_vitale_2_is_recognised(fourth: int, eighth: str) -> None:
    assert recognise(bytes.fromhex(f"3B75130000{fourth:02X}09{eighth}9000")) == Recognised("vitale-card", "vitale-2")


@pytest.mark.parametrize(
    "atr",
    [
        "3F6525002209699000",
        "3F6525002C09699000",
        "3F6525002C09F99000",
        "3F65250052096A9000",
        "3F652500A3096A9000",
        "3F652500A4096A9000",
    ],
)
def test_a_vitale_1_is_recognised_and_cannot_be_read(atr: str) -> None:
    assert recognise(bytes.fromhex(atr)) == Recognised("vitale-card", "vitale-1")
    with pytest.raises(MediumUnsupported) as refused:
        reading_script(bytes.fromhex(atr))
    assert refused.value.data == {"medium": "vitale-card", "generation": "vitale-1"}


@pytest.mark.parametrize(
    "atr",
    [
        "3B751300009C02020102",  # Cyberflex
        "3F65250053436890" + "00",  # a pirate's pay-TV card
        "3F6525002B09629000",  # a laundry's
        "3F6525002B09699000",  # a parking meter's
        "3F65250024096B9000",  # an old bank card
        "3F652508430468" + "9000",  # France Télécom
        "3B670000" + "2D201601789000",  # an agent of the CPAM
        "3B7513000045" + "09EA900000",  # one byte more
        "3B7513000055" + "09EA9000",
        "3B7513000045" + "0AEA9000",
    ],
)
def test_look_alikes_are_unknown(atr: str) -> None:
    assert recognise(bytes.fromhex(atr)) == Recognised("unknown-card")
    with pytest.raises(MediumUnsupported):
        reading_script(bytes.fromhex(atr))


@pytest.mark.parametrize("length", range(len(ATR)))
def test_a_card_whose_atr_is_cut_is_mute_and_not_unknown(length: int) -> None:
    with pytest.raises(MediumMute):
        reading_script(ATR[:length])


@given(st.binary(max_size=40))
def test_any_atr_is_recognised_as_something(atr: bytes) -> None:
    assert recognise(atr).medium in {"vitale-card", "cps-card", "unknown-card"}


def test_the_first_sequence_is_that_of_short_file_identifiers() -> None:
    evidence, commands = run(selecting(BOTH))
    assert evidence == {"identity": IDENTITY, "nir": NIR}
    assert [command.to_bytes().hex().upper() for command in commands] == [
        "00A40000023F00",
        "00B0820000",
        "00B0001900",  # nobody follows
        "00A404000BD250000002564954414C45",
        "00B0820000",
    ]


def test_the_second_sequence_takes_over_where_the_first_is_refused() -> None:
    files = {vitale_card.AID_MF_VITALE: b"", D001: IDENTITY, vitale_card.AID_VITALE: NIR}
    evidence, commands = run(selecting(files))
    assert evidence == {"identity": IDENTITY, "nir": NIR}
    assert commands[1].data == vitale_card.AID_MF_VITALE
    assert commands[2] == Command(0x00, 0xA4, 0x02, 0x00, D001)


def test_a_card_without_nir_is_accepted_at_the_last_attempt_only() -> None:
    evidence, commands = run(selecting({ROOT: IDENTITY}))
    assert evidence == {"identity": IDENTITY}
    assert sum(command.data == vitale_card.AID_VITALE for command in commands) == vitale_card.ATTEMPTS
    assert interpret("vitale-card", evidence, simulated=False).warnings == ("nir_missing",)


@pytest.mark.parametrize("failures", range(2 * vitale_card.ATTEMPTS))
def test_a_hiccup_is_tried_again(failures: int) -> None:
    card = FaultyCard(Card(load_image("adulte")), parse_faults(f"hiccup={failures}"))
    evidence = Channel(card.transmit, t0=True).run(reading_script(card.reset()))
    assert interpret("vitale-card", evidence, simulated=True).record.porteur == 0


class Slow:
    """A faulty card on a clock that only its rests move."""

    def __init__(self, image: str, words: str) -> None:
        self.now, self.rests, self.resets = 0.0, list[float](), 0
        self.card = FaultyCard(Card(load_image(image)), parse_faults(words), clock=lambda: self.now)

    def rest(self, seconds: float) -> None:
        self.rests.append(seconds)
        self.now += seconds

    def reset(self) -> None:
        self.resets += 1
        self.card.reset()

    def read(self) -> dict[str, bytes]:
        atr = self.card.reset()
        return Channel(self.card.transmit, t0=True, rest=self.rest, reset=self.reset).run(reading_script(atr))


@pytest.mark.parametrize("image", ["adulte", "famille", "dix-neuf"])
@pytest.mark.parametrize(
    "words",
    [
        *(f"waking={ms}" for ms in (20, 60, 150, 500)),
        *(f"late-le={ms}" for ms in (20, 60, 100)),
        *(f"deselected={times}" for times in range(1, 2 * vitale_card.ATTEMPTS - 1)),
        "strict-le",
        "strict-le,deselected=1,waking=60",
    ],
)
def test_a_card_that_hesitates_is_read_with_all_its_numbers(image: str, words: str) -> None:
    assert Slow(image, words).read() == Slow(image, "").read()


def test_the_rests_of_a_card_that_is_lost_grow_and_end_with_a_reset() -> None:
    slow = Slow("adulte", "waking=5000")
    with pytest.raises(MediumUnreadable):
        slow.read()
    assert (slow.rests, slow.resets) == ([pause for pause in vitale_card.RETRY_DELAYS if pause], 1)
    assert slow.rests[:-1] == sorted(slow.rests[:-1])
    assert sum(slow.rests) < 1


def test_a_card_that_does_not_hesitate_is_given_no_rest() -> None:
    slow = Slow("famille", "")
    slow.read()
    assert (slow.rests, slow.resets) == ([], 0)


@pytest.mark.parametrize("identity", [NIR, person((0x90, b"FRA"))])
def test_another_file_than_the_one_asked_for_is_not_taken_for_it(identity: bytes) -> None:
    with pytest.raises(MediumUnreadable, match="another file"):
        run(selecting({ROOT: identity, vitale_card.AID_MF_VITALE: b"", D001: identity, vitale_card.AID_VITALE: NIR}))


def test_the_names_are_not_taken_for_the_numbers() -> None:
    evidence, _ = run(selecting({ROOT: IDENTITY, vitale_card.AID_VITALE: IDENTITY}))
    assert evidence == {"identity": IDENTITY}


@pytest.mark.parametrize("sw", [0x6A82, 0x6982, 0x6F00, 0x6E00, 0x9110])
def test_a_card_that_refuses_everything_is_unreadable(sw: int) -> None:
    commands: list[Command] = []

    def answer(command: Command) -> Response:
        commands.append(command)
        return Response(b"", sw)

    with pytest.raises(MediumUnreadable) as refused:
        run(answer)
    assert refused.value.data == {"sw": f"{sw:04X}"}
    assert len(commands) == 2 * vitale_card.ATTEMPTS


@pytest.mark.parametrize("people", [1, 6, 19])
@pytest.mark.parametrize("step", [256, 255, 97])
def test_a_file_longer_than_one_answer_is_read_in_steps(people: int, step: int) -> None:
    files = {ROOT: IDENTITY * people, vitale_card.AID_VITALE: NIR * people}
    evidence, _ = run(selecting(files, step=step))
    assert evidence == {"identity": files[ROOT], "nir": files[vitale_card.AID_VITALE]}


def test_a_file_of_exactly_one_answer_ends_where_the_card_says_so() -> None:
    identity = (IDENTITY * 6).ljust(256, b"\xff")
    evidence, _ = run(selecting({ROOT: identity, vitale_card.AID_VITALE: NIR}))
    assert evidence["identity"] == identity


def test_a_file_that_does_not_end_is_unreadable() -> None:
    count = 0

    def answer(command: Command) -> Response:
        nonlocal count
        count += 1
        return Response(b"\x65" * (command.le or 0), StatusWord.OK)

    with pytest.raises(MediumUnreadable, match="end"):
        run(answer)
    assert count <= 2 * vitale_card.ATTEMPTS * (vitale_card.MAX_STEPS + 2)


@given(
    st.lists(
        st.tuples(st.binary(max_size=300), st.sampled_from([0x9000, 0x6282, 0x6B00, 0x6A82]) | st.integers(0, 0xFFFF))
    )
)
def test_arbitrary_responses_give_evidence_or_a_documented_error(responses: list[tuple[bytes, int]]) -> None:
    remaining = iter(responses)
    count = 0

    def answer(_: Command) -> Response:
        nonlocal count
        count += 1
        return Response(*next(remaining, (b"\x65\x02\x80\x00", 0x9000)))

    with contextlib.suppress(MediumUnreadable):
        evidence, _ = run(answer)
        interpret("vitale-card", evidence, simulated=True)
    assert count <= 2 * vitale_card.ATTEMPTS * (2 * vitale_card.MAX_STEPS + 3)


# ── what the evidence says ───────────────────────────────────────────────────────────────────────────────────────


def test_a_reading_is_honest_about_its_proof() -> None:
    reading = interpret("vitale-card", {"identity": IDENTITY, "nir": NIR}, simulated=False)
    assert reading.proof == Proof(method="card-clear-read", verified=False, freshness="none")
    assert reading.origin == "unknown"
    assert interpret("vitale-card", {"identity": IDENTITY, "nir": NIR}, simulated=True).origin == "simulated"


def test_the_holder_is_the_first_person_and_the_nir_the_insureds() -> None:
    start = tlv.encode(0x66, tlv.encode(0x80, b"20210901"))
    record = interpret("vitale-card", {"identity": IDENTITY, "nir": NIR + start}, simulated=False).record
    assert record.beneficiaires == (
        Beneficiaire(
            nom_usuel="ESSAI",
            prenom="ANNE",
            date_naissance="19850714",
            date_naissance_iso="1985-07-14",
            nir="2850713990321",
            cle_nir="07",
        ),
    )
    assert record.porteur == 0
    assert record.assure is not None
    assert (record.assure.nir, record.assure.cle_nir) == ("2850713990321", "07")
    assert record.assure.date_debut_validite == "20210901"


def single(identity: bytes = IDENTITY, nir: bytes = NIR) -> tuple[Beneficiaire, tuple[str, ...]]:
    reading = interpret("vitale-card", {"identity": identity, "nir": nir}, simulated=False)
    assert reading.record.beneficiaires is not None
    return reading.record.beneficiaires[0], reading.warnings


def test_text_is_latin_1_without_its_padding() -> None:
    who, warnings = single(person((0x80, b"LEF\xc8VRE-ESSAI   "), (0x81, b" ZO\xc9\0\0"), (0x90, b"FRA")))
    assert (who.nom_usuel, who.prenom, who.nationalite) == ("LEFÈVRE-ESSAI", "ZOÉ", "FRA")
    assert warnings == ()


def test_what_is_only_padding_is_absent() -> None:
    who, warnings = single(person((0x80, b"     "), (0x81, b""), (0x82, b"\xff\xff")))
    assert (who.nom_usuel, who.prenom, who.date_naissance) == (None, None, None)
    assert warnings == ()


def test_control_characters_cannot_steer_a_terminal() -> None:
    who, warnings = single(person((0x80, b"ES\x1b[2JSAI")))
    assert who.nom_usuel == "ES\N{REPLACEMENT CHARACTER}[2JSAI"
    assert warnings == ("text_unusual",)


@pytest.mark.parametrize(
    ("raw", "iso"),
    [
        (b"19850714", "1985-07-14"),
        (b"20000229", "2000-02-29"),
        (b"19000229", None),
        (b"19421901", None),
        (b"00000000", None),
        (b"850714", None),
        (b"199306010000", None),
        (b"1985 714", None),
        (b"1985\xb2714", None),
    ],
)
def test_a_birth_date_is_kept_raw_and_parsed_where_it_is_a_day(raw: bytes, iso: str | None) -> None:
    who, warnings = single(person((0x82, raw)))
    assert who.date_naissance == raw.decode("latin-1")
    assert who.date_naissance_iso == iso
    assert warnings == (() if iso else ("birth_date_not_calendar",))


@pytest.mark.parametrize(
    ("shown", "number", "key", "warnings"),
    [
        (b"285071399032107", "2850713990321", "07", ()),
        (b"253072A07300443", "253072A073004", "43", ()),
        (b"253072B07300470", "253072B073004", "70", ()),
        (b"253072b07300470", "253072b073004", "70", ()),
        (b"253072A07300470", "253072A073004", "70", ("nir_key_mismatch",)),
        (b"285071399032108", "2850713990321", "08", ("nir_key_mismatch",)),
        (b"142199999016791", "1421999990167", "91", ("nir_unusual",)),
        (b"2850713990321", "2850713990321", None, ("nir_unusual",)),
        (b"2850713990321  ", "2850713990321", None, ("nir_unusual",)),
        (b"28507139903210X", "2850713990321", "0X", ("nir_key_mismatch",)),
        (b"ABCDEFGHIJKLMNO", "ABCDEFGHIJKLM", "NO", ("nir_unusual",)),
        (b"2 85 07 13 990 321 07", "2 85 07 13 990 321 07", None, ("nir_unusual",)),
    ],
)
def test_a_nir_is_split_and_judged_but_kept(
    shown: bytes, number: str, key: str | None, warnings: tuple[str, ...]
) -> None:
    who, given_warnings = single(nir=person((0x93, shown)))
    assert (who.nir, who.cle_nir) == (number, key)
    assert given_warnings == warnings


def test_nirs_are_paired_with_names_in_their_order() -> None:
    second = person((0x80, b"DEUX"))
    evidence = {"identity": IDENTITY + second, "nir": NIR + person((0x93, b"253072A07300443"))}
    record = interpret("vitale-card", evidence, simulated=False).record
    assert record.beneficiaires is not None
    assert [one.nir for one in record.beneficiaires] == ["2850713990321", "253072A073004"]


def test_one_nir_for_several_names_is_the_holders() -> None:
    evidence = {"identity": IDENTITY * 3, "nir": NIR}
    reading = interpret("vitale-card", evidence, simulated=False)
    assert reading.record.beneficiaires is not None
    assert [one.nir for one in reading.record.beneficiaires] == ["2850713990321", None, None]
    assert reading.warnings == ("names_and_nirs_differ", "nir_missing")


def test_more_nirs_than_names_are_no_more_people() -> None:
    reading = interpret("vitale-card", {"identity": IDENTITY, "nir": NIR * 3}, simulated=False)
    assert reading.record.beneficiaires is not None
    assert [one.nir for one in reading.record.beneficiaires] == ["2850713990321"]
    assert reading.warnings == ("names_and_nirs_differ",)


def test_a_nir_beside_the_names_is_found_there() -> None:
    evidence = {"identity": person((0x80, b"ESSAI"), (0x93, b"285071399032107"))}
    reading = interpret("vitale-card", evidence, simulated=False)
    assert reading.record.assure is not None
    assert reading.record.assure.nir == "2850713990321"
    assert reading.warnings == ()


@pytest.mark.parametrize("evidence", [{}, {"identity": b""}, {"identity": b"\xff" * 20}, {"identity": b"\x66\x00"}])
def test_evidence_that_names_nobody_is_unreadable(evidence: dict[str, bytes]) -> None:
    with pytest.raises(MediumUnreadable):
        interpret("vitale-card", evidence, simulated=False)


def test_other_media_are_not_interpreted_here() -> None:
    with pytest.raises(MediumUnsupported):
        interpret("cps-card", {}, simulated=False)


@given(st.fixed_dictionaries({}, optional={"identity": st.binary(max_size=300), "nir": st.binary(max_size=300)}))
def test_arbitrary_evidence_raises_only_what_is_documented(evidence: dict[str, bytes]) -> None:
    with contextlib.suppress(MediumUnreadable):
        interpret("vitale-card", evidence, simulated=False)


FIELD = st.tuples(st.sampled_from([0x80, 0x81, 0x82, 0x90, 0x93]), st.binary(max_size=40))
PEOPLE = st.lists(st.lists(FIELD, max_size=6).map(lambda fields: person(*fields)), max_size=20).map(b"".join)


@given(PEOPLE.filter(bool), PEOPLE)
def test_whatever_stands_in_the_fields_nobody_is_rejected(identity: bytes, nir: bytes) -> None:
    reading = interpret("vitale-card", {"identity": identity, "nir": nir}, simulated=False)
    assert len(reading.record.beneficiaires or ()) == len(tlv.parse(identity))


# ── POINTERS ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_map_of_a_card_is_read() -> None:
    card = Card(load_image("adulte"))
    card_map = parse_pointers(Channel(card.transmit, t0=True).run(vitale_card.pointers_script()))
    assert [one.aid for one in card_map.applications] == [
        vitale_card.AID_MF_VITALE,
        vitale_card.AID_VITALE,
        vitale_card.AID_ADELE,
    ]
    assert [(one.name, one.application, one.fid) for one in card_map.files] == [
        ("IDENTITE", 1, 0xD001),
        ("NIR", 2, 0x2002),
        ("SIMPROT1", 2, 0x2010),
        ("SIMPROT2", 3, 0x5010),
    ]


@pytest.mark.parametrize("content", [b"", b"\x65\x00", b"\xe0\x04\xa0\x02\x82\x00", b"\xe0\x03\x80\x01A", b"\xe0\x05"])
def test_what_is_no_map_is_unreadable(content: bytes) -> None:
    with pytest.raises(MediumUnreadable):
        parse_pointers(content)


@given(st.binary(max_size=200))
def test_arbitrary_maps_raise_only_what_is_documented(content: bytes) -> None:
    with contextlib.suppress(MediumUnreadable):
        parse_pointers(content)


def files_of(identity: bytes) -> dict[bytes, bytes]:
    """A card that gives the same by either sequence."""
    return {ROOT: identity, vitale_card.AID_MF_VITALE: b"", D001: identity, vitale_card.AID_VITALE: NIR}


START_OF_RIGHTS = tlv.encode(0x66, tlv.encode(0x80, b"20200101"))


@pytest.mark.parametrize("nobody", [b"\xff" * 40, START_OF_RIGHTS], ids=["filler", "66"])
def test_a_file_without_a_person_is_not_taken_for_one(nobody: bytes) -> None:
    files = {ROOT: nobody, vitale_card.AID_MF_VITALE: b"", D001: IDENTITY, vitale_card.AID_VITALE: NIR}
    evidence, commands = run(selecting(files))
    assert evidence == {"identity": IDENTITY, "nir": NIR}
    assert [command.data for command in commands if command.ins == 0xA4] == [
        ROOT,
        vitale_card.AID_MF_VITALE,
        D001,
        vitale_card.AID_VITALE,
    ]
    with pytest.raises(MediumUnreadable, match="no person"):
        run(selecting(files_of(nobody)))


FAMILY = [person((0x80, b"ESSAI"), (0x81, name), (0x82, b"19850714")) for name in (b"ANNE", b"PAUL", b"ZOE")]


@pytest.mark.parametrize("root", [ROOT, D001])
@pytest.mark.parametrize("people", [1, 2, 3])
def test_a_family_is_whole_where_the_card_cuts_its_answers_behind_a_person(root: bytes, people: int) -> None:
    """With the numbers cut at the same person, or without any, nothing else would show that somebody is missing."""
    family, cut = b"".join(FAMILY), len(b"".join(FAMILY[:people]))
    files = {root: family, vitale_card.AID_MF_VITALE: b""} if root == D001 else {root: family}
    for numbers in ({vitale_card.AID_VITALE: NIR * people}, {}):
        evidence, _ = run(selecting(files | numbers, step=cut))
        assert evidence["identity"] == family


def test_a_card_that_gives_the_same_again_has_no_more_people() -> None:
    """One that knows no offsets, or begins anew behind the end."""
    contents = {ROOT: b"".join(FAMILY), vitale_card.AID_VITALE: NIR * 3}
    selected = b""

    def answer(command: Command) -> Response:
        nonlocal selected
        selected = command.data if command.ins == 0xA4 else selected
        return Response(b"" if command.ins == 0xA4 else contents[selected], StatusWord.OK)

    assert run(answer)[0] == {"identity": contents[ROOT], "nir": contents[vitale_card.AID_VITALE]}


@pytest.mark.parametrize("sw", [0x6282, 0x6A86, 0x6B00, 0x6982, 0x6F00, 0x6D00])
def test_whatever_a_card_refuses_behind_the_end_ends_the_file(sw: int) -> None:
    card = selecting(BOTH)

    def answer(command: Command) -> Response:
        given = card(command)
        return given if given.ok else Response(b"", StatusWord(sw) if sw in set(StatusWord) else sw)

    evidence, commands = run(answer)
    assert (evidence, len(commands)) == ({"identity": IDENTITY, "nir": NIR}, 5)


def test_a_file_that_is_whole_after_256_bytes_is_read_on() -> None:
    first = person((0x80, b"A" * 100), (0x81, b"B" * 148))
    assert len(first) == 256
    identity = first + IDENTITY
    evidence, _ = run(selecting({ROOT: identity, vitale_card.AID_VITALE: NIR}))
    assert evidence["identity"] == identity


@pytest.mark.parametrize(("length", "read"), [(256, True), (257, False), (400, False)])
def test_a_card_gives_no_more_than_was_asked_for(length: int, read: bool) -> None:
    both = person((0x80, b"ESSAI"), (0x93, b"285071399032107"))
    content = both + b"\xff" * (length - len(both))

    def answer(command: Command) -> Response:
        if command.ins == 0xA4:
            return Response(b"", StatusWord.OK)
        first = command.p1 in {0x82, 0x00}
        return Response(content, StatusWord.OK) if first else Response(b"", StatusWord.WRONG_OFFSET)

    if read:
        assert run(answer)[0] == {"identity": content, "nir": content}
    else:
        with pytest.raises(MediumUnreadable, match="more than was asked for"):
            run(answer)


def test_a_file_may_take_as_many_steps_as_are_allowed() -> None:
    longest = person((0x80, b"A" * (vitale_card.MAX_STEPS * 256 - 9)))
    assert len(longest) == vitale_card.MAX_STEPS * 256 - 1
    assert run(selecting(files_of(longest)))[0]["identity"] == longest
    with pytest.raises(MediumUnreadable, match="does not end"):
        run(selecting(files_of(longest + b"\xff")))
