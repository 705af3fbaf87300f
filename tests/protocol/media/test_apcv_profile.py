"""Profiles: what is one, what is none and where, and how phones of every kind are read by them."""

from collections.abc import Callable, Sequence
from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_protocol.apdu import Command, ReadingScript, Response
from vitale_protocol.errors import ConfigurationInvalid, MediumUnreadable, MediumUnsupported
from vitale_protocol.media.apcv_profile import (
    MAX_STRING,
    SIMULATOR_AID,
    Assembly,
    Profile,
    ProfileCommand,
    ProfileLimits,
    parse_profile,
)

AID = "A0 00 00 09 99 01"
BASE = f"""
name = "essai"
version = "1.2"
origin = "test"
aids = ["{AID}"]

[[commands]]
apdu = "00 CA 00 5E 00"
"""
BLOCKS = BASE.replace('apdu = "00 CA 00 5E 00"', 'apdu = "00 B0 00 00 10"\nblocks = true')


def play(script: ReadingScript[dict[str, bytes]], answers: Sequence[tuple[bytes, int]]) -> dict[str, bytes]:
    """Runs a script on answers, of which the last is given for ever."""
    given_answers = iter([*answers, *repeat(answers[-1], 1000)])
    try:
        next(script)
        while True:
            data, sw = next(given_answers)
            script.send(Response(data, sw))
    except StopIteration as end:
        evidence: dict[str, bytes] = end.value
        return evidence


def commands(script: ReadingScript[dict[str, bytes]], answers: Sequence[tuple[bytes, int]]) -> list[str]:
    """The commands of a script."""
    sent: list[Command] = [next(script)]
    try:
        for data, sw in answers:
            sent.append(script.send(Response(data, sw)))
    except StopIteration:
        pass
    return [one.to_bytes().hex().upper() for one in sent]


class TestFromToml:
    def test_the_least_there_is(self) -> None:
        profile = parse_profile(BASE)

        assert profile == Profile(
            name="essai",
            version="1.2",
            origin="test",
            aids=(bytes.fromhex(AID),),
            commands=(ProfileCommand(Command(0x00, 0xCA, 0x00, 0x5E, le=256)),),
        )
        assert profile.label == "essai/1.2"

    def test_all_there_is(self) -> None:
        profile = parse_profile(
            """
            name = "tout"
            version = "2"
            origin = "production"
            description = "Tout ce qui se règle"
            aids = ["A000000999 01", "A0 00 00 09 99 02"]
            select = { p2 = 0x0C, le = false }
            commands = [
                { apdu = "80 50 00 00 02 AB CD", keep = false, accept = ["9000", "6200"] },
                { apdu = "00 B0 81 00 00", blocks = true },
            ]
            assembly = { form = "tlv", path = ["70", "5F 51"] }
            refusals = { locked = ["6985", "6982"] }
            limits = { min_bytes = 20, max_bytes = 400, max_commands = 12 }
            """
        )

        assert profile.aids == (bytes.fromhex("A00000099901"), bytes.fromhex("A00000099902"))
        assert profile.commands[0] == ProfileCommand(
            Command(0x80, 0x50, 0, 0, b"\xab\xcd"), keep=False, accept=frozenset({0x9000, 0x6200})
        )
        assert profile.commands[1].blocks
        assert profile.assembly == Assembly("tlv", path=(0x70, 0x5F51))
        assert profile.locked == {0x6985, 0x6982}
        assert (profile.select_p2, profile.select_le) == (0x0C, False)
        assert profile.limits == ProfileLimits(min_bytes=20, max_bytes=400, max_commands=12)

    @pytest.mark.parametrize(
        ("old", "new", "place"),
        [
            ('name = "essai"', 'name = "Essai !"', "$.name"),
            ('name = "essai"', "", "$"),
            ('version = "1.2"', "version = 1", "$.version"),
            ('version = "1.2"', 'version = "a/b"', "$.version"),
            ('origin = "test"', 'origin = "unknown"', "$.origin"),
            ('origin = "test"', 'origin = "test"\nreader = 1', "$"),
            (AID, "A0 00 00 09", "$.aids[0]"),
            (AID, "A0" * 17, "$.aids[0]"),
            (AID, "A0 00 0", "$.aids[0]"),
            (AID, f'{AID}", "{AID}', "$.aids[1]"),
            (f'"{AID}"', "", "$.aids"),
            ("00 CA 00 5E 00", "00 CA", "$.commands[0].apdu"),
            ("00 CA 00 5E 00", "00 CA 00 00 03 01", "$.commands[0].apdu"),
            ("00 CA 00 5E 00", "GET DATA", "$.commands[0].apdu"),
            ('00 CA 00 5E 00"', '00 CA 00 5E 00"\nkeep = false', "$.commands"),
            ('00 CA 00 5E 00"', '00 CA 00 5E 00"\naccept = []', "$.commands[0].accept"),
            ('00 CA 00 5E 00"', '00 CA 00 5E 00"\naccept = ["61xx"]', "$.commands[0].accept[0]"),
            ('00 CA 00 5E 00"', '00 A4 00 00 02 AB CD 00"\nblocks = true', "$.commands[0].apdu"),
            ('00 CA 00 5E 00"', '00 B0 00 00"\nblocks = true', "$.commands[0].apdu"),
            ('00 CA 00 5E 00"', '00 B0 E1 00 00"\nblocks = true', "$.commands[0].apdu"),
            ("[[commands]]", "[select]\np2 = 4\n[[commands]]", "$.select.p2"),
            ("[[commands]]", '[assembly]\nform = "tlv"\n[[commands]]', "$.assembly.path"),
            ("[[commands]]", '[assembly]\npath = ["5E"]\n[[commands]]', "$.assembly.path"),
            ("[[commands]]", '[assembly]\nform = "tlv"\npath = ["5F"]\n[[commands]]', "$.assembly.path[0]"),
            ("[[commands]]", '[assembly]\nform = "tlv"\npath = ["5E 5E"]\n[[commands]]', "$.assembly.path[0]"),
            ("[[commands]]", '[assembly]\nform = "tlv"\npath = ["1F81818101"]\n[[commands]]', "$.assembly.path[0]"),
            ("[[commands]]", '[assembly]\nform = "length"\n[[commands]]', "$.assembly.bytes"),
            ("[[commands]]", "[assembly]\nbytes = 2\n[[commands]]", "$.assembly.bytes"),
            ("[[commands]]", '[assembly]\nform = "length"\nbytes = 5\n[[commands]]', "$.assembly.bytes"),
            ("[[commands]]", "[limits]\nmin_bytes = 5\nmax_bytes = 4\n[[commands]]", "$.limits.min_bytes"),
            ("[[commands]]", "[limits]\nmax_bytes = 4097\n[[commands]]", "$.limits.max_bytes"),
            ("[[commands]]", "[limits]\nmax_commands = 1\n[[commands]]", "$.limits.max_commands"),
            ("[[commands]]", '[refusals]\nlocked = ["0000"]\n[[commands]]', "$.refusals.locked[0]"),
            ("[[commands]]", "[[commands", "$"),
            ("[[commands]]", "#" * 70_000, "$"),
            ("[[commands]]", "deep = " + "[" * 10_000, "$"),
        ],
    )
    def test_what_is_no_profile_and_where(self, old: str, new: str, place: str) -> None:
        assert old in BASE
        with pytest.raises(ConfigurationInvalid) as invalid:
            parse_profile(BASE.replace(old, new), source="licence.toml")

        assert invalid.value.data == {"file": "licence.toml", "path": place}
        assert "profile" in invalid.value.detail

    @pytest.mark.parametrize("aid", [SIMULATOR_AID, SIMULATOR_AID[:5], SIMULATOR_AID + b"\x01"])
    @pytest.mark.parametrize("origin", ["production", "test", "demo"])
    def test_the_simulator_passes_for_nothing_else(self, origin: str, aid: bytes) -> None:
        text = BASE.replace(AID, aid.hex()).replace('"test"', f'"{origin}"')
        with pytest.raises(ConfigurationInvalid) as invalid:
            parse_profile(text)

        assert invalid.value.data["path"] == "$.aids[0]"
        assert parse_profile(text.replace(f'"{origin}"', '"simulated"')).origin == "simulated"

    @given(st.text(max_size=200))
    def test_no_text_does_more_than_be_refused(self, text: str) -> None:
        with pytest.raises(ConfigurationInvalid):
            parse_profile(text)


class TestReading:
    def test_a_string_in_one_command(self) -> None:
        profile = parse_profile(BASE)

        assert play(profile.reading_script(), [(b"", 0x9000), (b"opaque", 0x9000)]) == {
            "string": b"opaque",
            "profile": b"essai/1.2",
        }
        sent = commands(profile.reading_script(), [(b"", 0x9000), (b"opaque", 0x9000)])
        assert sent == ["00A4040006A0000009990100", "00CA005E00"]

    def test_select_as_the_profile_says(self) -> None:
        profile = parse_profile(BASE.replace("[[commands]]", "select = { p2 = 0x0C, le = false }\n[[commands]]"))

        assert commands(profile.reading_script(), []) == ["00A4040C06A00000099901"]

    def test_names_are_tried_in_order(self) -> None:
        profile = parse_profile(BASE.replace(f'"{AID}"', f'"{AID}", "B0 00 00 00 01"'))

        sent = commands(profile.reading_script(), [(b"", 0x6A82), (b"", 0x9000)])
        assert [one[10:-2] for one in sent[:2]] == ["A00000099901", "B000000001"]
        with pytest.raises(MediumUnsupported) as unsupported:
            play(profile.reading_script(), [(b"", 0x6A82)])
        assert (unsupported.value.variant, unsupported.value.data) == ("contactless", {"medium": "unknown-card"})

    @pytest.mark.parametrize("sw", [0x6A82, 0x6A81, 0x6A86, 0x6A88, 0x6D00, 0x6E00, 0x6700, 0x6999, 0x6F00, 0x6200, 0])
    def test_what_refuses_the_selection_has_no_such_application_whatever_it_says(self, sw: int) -> None:
        with pytest.raises(MediumUnsupported) as unsupported:
            play(parse_profile(BASE).reading_script(), [(b"", sw)])
        assert (unsupported.value.variant, unsupported.value.data) == ("contactless", {"medium": "unknown-card"})

    @pytest.mark.parametrize(
        "answers",
        [
            [(b"", 0x9000), (b"", 0x6D00)],
            [(b"", 0x9000), (b"", 0x6E00)],
            [(b"junk", 0x9000), (b"", 0x6A88)],
            [(b"junk", 0x9000), (b"", 0x9000)],
            [(bytes.fromhex("6F0A8408A000000151000000"), 0x9000), (b"", 0x6985)],
            [(bytes.fromhex("6F00"), 0x9000), (b"", 0x6D00)],
        ],
        ids=["no such command", "no such class", "junk", "junk, and no string", "another's name", "accepts everything"],
    )
    def test_what_accepts_any_selection_and_is_another_is_unknown(self, answers: list[tuple[bytes, int]]) -> None:
        with pytest.raises(MediumUnsupported):
            play(parse_profile(BASE).reading_script(), answers)

    @pytest.mark.parametrize(
        "information", ["", "6F088406A00000099901", "6F0A8408A000000999010203", "6F028500", "4A554E4B"]
    )
    def test_an_application_that_gives_its_string_is_read_whatever_it_says_of_itself(self, information: str) -> None:
        answers = [(bytes.fromhex(information), 0x9000), (b"opaque", 0x9000)]
        assert play(parse_profile(BASE).reading_script(), answers)["string"] == b"opaque"

    @pytest.mark.parametrize("at", [0, 1])
    def test_a_refusal_is_told(self, at: int) -> None:
        profile = parse_profile(BASE.replace("[[commands]]", '[refusals]\nlocked = ["6982"]\n[[commands]]'))
        told: list[tuple[int, dict[str, str]]] = [
            (0x6982, {"state": "phone-locked"}),
            *([(0x6F00, {}), (0x6200, {})] if at else []),
        ]
        for sw, state in told:
            with pytest.raises(MediumUnreadable) as refused:
                play(profile.reading_script(), [*[(b"", 0x9000)] * at, (b"", sw)])
            assert refused.value.variant == state.get("state", "apcv-nfc")
            assert refused.value.data == {"medium": "apcv-nfc", "sw": f"{sw:04X}", **state}

    def test_what_only_prepares_is_not_kept(self) -> None:
        preparing = '[[commands]]\napdu = "80 50 00 00 00"\nkeep = false\naccept = ["9000", "6283"]\n\n[[commands]]\n'
        profile = parse_profile(BASE.replace("[[commands]]\n", preparing))

        evidence = play(profile.reading_script(), [(b"", 0x9000), (b"prepared", 0x6283), (b"opaque", 0x9000)])
        assert evidence["string"] == b"opaque"

    @pytest.mark.parametrize(
        ("answers", "string"),
        [
            ([(b"a" * 16, 0x9000), (b"b", 0x9000)], b"a" * 16 + b"b"),
            ([(b"a" * 16, 0x9000), (b"", 0x9000)], b"a" * 16),
            ([(b"a" * 16, 0x9000), (b"", 0x6B00)], b"a" * 16),
            ([(b"a" * 16, 0x9000), (b"b" * 16, 0x6282)], b"a" * 16 + b"b" * 16),
            ([(b"a", 0x6282)], b"a"),
        ],
    )
    def test_blocks_to_the_end(self, answers: list[tuple[bytes, int]], string: bytes) -> None:
        script = parse_profile(BLOCKS).reading_script()

        assert play(script, [(b"", 0x9000), *answers, (b"more", 0x6F00)])["string"] == string

    def test_the_offset_goes_on(self) -> None:
        answers = [(b"", 0x9000), *[(bytes(16), 0x9000)] * 17]

        sent = commands(parse_profile(BLOCKS).reading_script(), answers)[1:]
        assert sent[:2] == ["00B0000010", "00B0001010"]
        assert sent[16:] == ["00B0010010", "00B0011010"]

    def test_after_a_short_file_identifier_the_offset_begins_at_0(self) -> None:
        profile = parse_profile(BLOCKS.replace("00 B0 00 00 10", "00 B0 81 00 10"))

        sent = commands(profile.reading_script(), [(b"", 0x9000), (bytes(16), 0x9000)])[1:]
        assert sent == ["00B0810010", "00B0001010"]

    @pytest.mark.parametrize("sw", [0x6B00, 0x6A82, 0x6985])
    def test_no_first_block_is_no_end(self, sw: int) -> None:
        with pytest.raises(MediumUnreadable):
            play(parse_profile(BLOCKS).reading_script(), [(b"", 0x9000), (b"", sw)])


class TestAssembly:
    @pytest.mark.parametrize(
        ("assembly", "answer", "string"),
        [
            ('form = "tlv"\npath = ["70", "5F51"]', "70 06 5F51 03 616263 0000", b"abc"),
            ('form = "tlv"\npath = ["5E"]', "5D 01 61 5E 02 6263", b"bc"),
            ('form = "length"\nbytes = 1', "03 616263 FFFF", b"abc"),
            ('form = "length"\nbytes = 2', "0003 616263", b"abc"),
        ],
    )
    def test_the_string_is_taken_out(self, assembly: str, answer: str, string: bytes) -> None:
        profile = parse_profile(BASE + f"\n[assembly]\n{assembly}\n")

        assert play(profile.reading_script(), [(b"", 0x9000), (bytes.fromhex(answer), 0x9000)])["string"] == string

    @pytest.mark.parametrize(
        ("assembly", "answer"),
        [
            ('form = "tlv"\npath = ["5E"]', "5E 05 61"),
            ('form = "tlv"\npath = ["5E"]', "5D 01 61"),
            ('form = "tlv"\npath = ["5E"]', ""),
            ('form = "tlv"\npath = ["5E"]', "5E 00"),
            ('form = "length"\nbytes = 2', "00"),
            ('form = "length"\nbytes = 2', "0004 616263"),
            ('form = "length"\nbytes = 2', "0000 616263"),
            ('form = "raw"', ""),
        ],
    )
    def test_what_is_not_there_is_not_guessed(self, assembly: str, answer: str) -> None:
        profile = parse_profile(BASE + f"\n[assembly]\n{assembly}\n")
        with pytest.raises(MediumUnreadable):
            play(profile.reading_script(), [(b"", 0x9000), (bytes.fromhex(answer), 0x9000)])


class TestHostile:
    def test_a_string_longer_or_shorter_than_the_profile_allows(self) -> None:
        profile = parse_profile(BASE + "\n[limits]\nmin_bytes = 4\nmax_bytes = 8\n")
        for length in (3, 9):
            with pytest.raises(MediumUnreadable, match="not as long as"):
                play(profile.reading_script(), [(b"", 0x9000), (bytes(length), 0x9000)])
        for length in (4, 8):
            evidence = play(profile.reading_script(), [(b"", 0x9000), (bytes(length), 0x9000)])
            assert len(evidence["string"]) == length

    def test_a_phone_that_never_ends_ends_by_the_commands(self) -> None:
        with pytest.raises(MediumUnreadable, match="more commands"):
            play(parse_profile(BLOCKS).reading_script(), [(b"", 0x9000), (bytes(16), 0x9000)])

    @pytest.mark.parametrize("text", [BASE, BLOCKS])
    def test_a_giant_answer_is_not_kept(self, text: str) -> None:
        with pytest.raises(MediumUnreadable):
            play(parse_profile(text).reading_script(), [(b"", 0x9000), (bytes(65_536), 0x9000)])

    def test_no_offset_above_what_a_command_can_say(self) -> None:
        text = BLOCKS.replace("00 B0 00 00 10", "00 B0 7F F8 10") + "\n[limits]\nmax_commands = 256\n"
        with pytest.raises(MediumUnreadable, match="does not end"):
            play(parse_profile(text).reading_script(), [(b"", 0x9000), (bytes(16), 0x9000)])

    @given(st.lists(st.tuples(st.binary(max_size=300), st.integers(0, 0xFFFF)), min_size=1, max_size=20))
    def test_whatever_a_phone_answers_it_ends_and_is_bounded(self, answers: list[tuple[bytes, int]]) -> None:
        for text in (BASE, BLOCKS, BASE + '\n[assembly]\nform = "tlv"\npath = ["5E"]\n'):
            profile = parse_profile(text)
            try:
                evidence = play(profile.reading_script(), answers)
            except (MediumUnreadable, MediumUnsupported):
                continue
            assert 1 <= len(evidence["string"]) <= MAX_STRING


def test_no_refusal_quotes_what_the_phone_said() -> None:
    said = b"DUPONT"
    attempts: list[Callable[[], object]] = [
        lambda: play(parse_profile(BASE).reading_script(), [(b"", 0x9000), (said, 0x6F00)]),
        lambda: play(parse_profile(BASE).reading_script(), [(b"", 0x9000), (said * 2000, 0x9000)]),
    ]
    for attempt in attempts:
        with pytest.raises(MediumUnreadable) as refused:
            attempt()
        assert "DUPONT" not in f"{refused.value}{refused.value.data}"
