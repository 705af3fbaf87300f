"""What keyboards make of codes is undone where it is certain, refused where it is not; opaque text is left alone."""

import functools
import re
import string
import tomllib
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.benchmarks.paper import ins
from tests.protocol.media.xkb_layouts import Layout
from tests.protocol.media.xkb_layouts import layout as xkb_layout
from tests.protocol.seal_office import Office
from vitale_protocol.errors import PayloadInvalid
from vitale_protocol.media import codes, ins_datamatrix
from vitale_protocol.media.ins_datamatrix import InsDatamatrix
from vitale_protocol.media.keyboard_layouts import DEAD, LAYOUTS
from vitale_protocol.media.wedge import MANGLINGS, Mangling, repair
from vitale_protocol.session.wire_errors import to_wire

INS = (
    "IS010000000000000000000000S1277010115400329S21.2.250.1.213.1.4.8\x1dS3SARAH-LOU ANNA\x1dS4GARCIA-HAMMADI\x1dS5F"
    "S621-01-1977S701154"
)
SIGNER = Office().signer()
# One of its seals, which are never the same twice; one in a hundred is not restored: see the property below.
SEALED = (
    "DC04FR990001FFFF20090701FR60MARIE/ANNE\x1d62D'ESSAI\x1d6921011977\x1f"
    "WIR72C2TS5FWJ6VGR3F3HNPSBW346POHQOF6VN66GOQW2XVF3OPE7WJKC2FWZ7Z2MZFNY4IUEENFXLNKJ4LQX6DERNCA3H2FIJXI3PA"
)
PHONE = "VITALESIM.DicTZVCko6bQf1wMeW9FFNAjGWDPwXqAVT-mVGs7ZFNct_ZEkbQJD3docTroCnjjmWPx30Ri"
NIR = "277010115400329"
OPAQUE = "eyJhbGciOiJFUzI1NiJ9.eyJNbSI6IjAxMjM0NTY3ODkifQ.c2lnbmF0dXJlX29mX3NvbWVib2R5LTE"
UNTOUCHED: list[str] = [
    "https://example.org/a?b=c&d=é",
    "Prenez la carte à l'accueil, s'il vous plaît",
    "dc02a4f90123456789abcdef",
    "x",
    "",
    "WIFI:S:salle d'attente;T:WPA;P:p@ss!w*rd$;;",
    "  ",
]

every = pytest.mark.parametrize("mangling", MANGLINGS, ids=[one.name for one in MANGLINGS])
BY_NAME = {one.name: one for one in MANGLINGS}


def mangled(mangling: Mangling, text: str) -> str:
    typed = mangling.mangle(text)
    assert typed is not None
    return typed


def vectors(name: str) -> list[str]:
    found: list[dict[str, Any]] = tomllib.loads(
        Path(__file__).with_name("vectors").joinpath(f"{name}.toml").read_text("utf-8")
    )["valid"]
    return [one["code"] for one in found]


@pytest.mark.parametrize("text", [INS, SEALED, PHONE, NIR, OPAQUE, *UNTOUCHED])
def test_what_was_not_mangled_is_left_as_it_is(text: str) -> None:
    assert repair(text) == (text.encode(), "")
    assert repair(text.rstrip() + "\r\n")[0] == text.rstrip().encode()


@pytest.mark.parametrize("text", vectors("two_d_doc"))
def test_published_codes_are_left_as_they_are(text: str) -> None:
    assert repair(text) == (text.encode(), "")


@pytest.mark.parametrize("text", vectors("ins_datamatrix"))
def test_an_ins_is_left_as_it_is_if_it_has_its_date_and_names_in_capitals(text: str) -> None:
    code = ins_datamatrix.parse(text.encode())
    names = f"{code.prenoms or ''}{code.nom or ''}"
    if code.date_naissance and re.fullmatch("[A-Z0-9' -]*", names):
        assert repair(text) == (text.encode(), "")
    else:
        assert_right_or_refused(text, text)


@pytest.mark.parametrize(("sign", "name"), [("§", "fr-on-be"), ("ß", "us-on-de")])
def test_a_hyphen_that_became_another_sign_tells_the_layouts(sign: str, name: str) -> None:
    typed = INS.replace("SARAH-LOU ", "").replace("HAMMADI", "HAMMAD").replace("-", sign)
    assert repair(typed) == (typed.replace(sign, "-").encode(), name)


@pytest.mark.parametrize(
    "typed",
    [
        "IS01",
        "IS01" + "0" * 22,
        "DC04FR990001",
        "DC04FR990001FFFF20090701FR60MARIE/ANNE",
        *(INS.replace("-", sign) for sign in "|~)"),
        *(INS.replace("SARAH-LOU ANNA\x1d", f"SARAH-LOU ANNA{sign}") for sign in "§|~/↔"),
        INS.replace("GARCIA", "GARCÍA"),
        INS.replace("GARCIA", "garcia"),
        INS.replace("S1277010115400329", "S1"),
    ],
)
def test_what_begins_like_a_known_code_and_is_none_is_no_opaque_string(typed: str) -> None:
    with pytest.raises(PayloadInvalid) as refused:
        repair(typed)
    assert refused.value.variant == "wedge-layout"


def test_an_ins_that_lost_its_separators_alone_is_told_so() -> None:
    with pytest.raises(PayloadInvalid) as refused:
        repair(INS.replace("\x1d", "029"))
    assert refused.value.variant == "separators-lost", "whoever typed it has the right keyboard"


def assert_right_or_refused(code: str, typed: str) -> bool:
    """Whether a code was restored; the text may be refused, and never be anything else."""
    try:
        restored, _ = repair(typed)
    except PayloadInvalid as refused:
        assert refused.variant == "wedge-layout"  # noqa: PT017  either is right
        return False
    assert restored == code.encode()
    return True


def typed_on(code: str, imager: Layout, machine: Layout) -> str | None:
    """What a machine makes of the keys of an imager; Ctrl writes the separator everywhere."""
    found: list[str] = []
    for part in code.split("\x1d"):
        keys = imager.keys_of(part)
        if keys is None:
            return None
        # A dead key changes the vowel that follows, and stands before a consonant.
        rows = (machine.plain, machine.shifted)
        found.append(composed("".join(rows[shift][key] or "\u0301" for key, shift in keys)))
    return "\x1d".join(found)


def composed(text: str) -> str:
    swapped = re.sub("\u0301(.)", "\\1\u0301", text)
    return unicodedata.normalize("NFC", swapped).replace("\u0301", "´")


XKB = {"ch-fr": ("ch", "fr"), "ch-de": ("ch", "de"), "mac-fr": ("fr", "mac"), "afnor": ("fr", "afnor"),
       "bépo": ("fr", "bepo"), "us-intl": ("us", "intl")}  # fmt: skip


@functools.cache
def model(name: str) -> Layout:
    made = xkb_layout(*XKB.get(name, (name, "")))
    if made is None:
        pytest.skip("libxkbcommon or its layouts are not installed on this system")
    return made


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_tables_are_those_of_xkb(name: str) -> None:
    made, ours = model(name), LAYOUTS[name]
    assert "".join(key or DEAD for key in made.plain[:-1]) == ours.plain
    # Of a blank that does not break, bépo's is the only one, and left out; it is on no key of an INS.
    assert "".join(key or DEAD for key in made.shifted[:-1]) == ours.shifted


def invented_ins(count: int, *seed: int) -> list[str]:
    """Invented INS codes, with all kinds of names."""
    random = np.random.default_rng(seed)
    return [ins(random).decode() for _ in range(count)]


@pytest.mark.parametrize("codes", [20, pytest.param(200, marks=pytest.mark.soak)])
@pytest.mark.parametrize("machine", LAYOUTS)
@pytest.mark.parametrize("imager", LAYOUTS)
def test_between_any_two_layouts_an_ins_is_right_or_refused(imager: str, machine: str, codes: int) -> None:
    one, other = model(imager), model(machine)
    restored = typed_at_all = 0
    # Others for each pair: some thousands in all.
    for code in invented_ins(codes, [*LAYOUTS].index(imager), [*LAYOUTS].index(machine)):
        typed = typed_on(code, one, other)
        if typed is not None:
            typed_at_all += 1
            restored += assert_right_or_refused(code, typed)
    if imager == machine:
        assert restored == typed_at_all


@every
@pytest.mark.parametrize("text", [INS, SEALED, PHONE], ids=["INS", "2D-Doc", "phone"])
def test_every_mangling_of_what_is_known_is_undone(mangling: Mangling, text: str) -> None:
    assert repair(mangled(mangling, text)) == (text.encode(), mangling.name)


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        # As people have written them down: an English imager on a French machine, and the other way round.
        ("ISà&àààààààààààààààààààààà", "us-on-fr"),
        ("IS)!))))))))))))))))))))))", "fr-on-us"),
        ("éèèà&à&&('àà\"éç", "us-on-fr"),
        ("@&&)!)!!%$))#@(", "fr-on-us"),
    ],
)
def test_how_they_look(typed: str, name: str) -> None:
    code = "IS010000000000000000000000" if typed.startswith("IS") else NIR

    assert BY_NAME[name].mangle(code) == typed
    if code == NIR:
        assert repair(typed) == (NIR.encode(), name)


@pytest.mark.parametrize("name", ["us-on-fr", "fr-on-us", "us-on-fr, caps-lock", "shift-lock"])
def test_a_nir_of_corsica(name: str) -> None:
    assert repair(mangled(BY_NAME[name], "253072A07300443"))[0] == b"253072A07300443"


@pytest.mark.parametrize("name", ["us-on-fr", "fr-on-us", "us-on-fr, caps-lock"])
def test_an_opaque_text_shows_it_by_its_figures(name: str) -> None:
    assert repair(mangled(BY_NAME[name], OPAQUE)) == (OPAQUE.encode(), name)


@pytest.mark.parametrize("name", ["caps-lock", "us-on-fr, shift-lock"])
def test_an_opaque_text_that_shows_nothing_is_left_as_it_is(name: str) -> None:
    typed = mangled(BY_NAME[name], "abcdefghijklnop0123456789qrst")

    assert repair(typed) == (typed.encode(), "")


@pytest.mark.parametrize(
    "typed",
    [
        # An opaque text with neither m nor - may be either of two.
        "qbcdefghijkl&é\"'(-è_çàrstuvx",
        # An English [ is a dead key on a French machine: it is gone, or an accent on what follows.
        mangled(BY_NAME["us-on-fr"], INS).replace("SQRQH", "SâRQH"),
        # A field was lost on the way.
        mangled(BY_NAME["us-on-fr"], INS).replace("Sé&", "é&"),
        mangled(BY_NAME["caps-lock"], INS).replace("s1", "1"),
        mangled(BY_NAME["us-on-fr"], SEALED)[:-3],
        mangled(BY_NAME["us-on-fr"], PHONE) + "é\u0302",
    ],
)
def test_what_cannot_be_undone_is_refused(typed: str) -> None:
    with pytest.raises(PayloadInvalid) as refused:
        repair(typed)

    assert refused.value.variant == "wedge-layout"
    assert "mode série" in str(to_wire(refused.value, "fr")["data"]["remedy"])


def test_separators_that_were_typed_and_mangled() -> None:
    typed = mangled(BY_NAME["us-on-fr"], INS.replace("\x1d", "]")).replace("$", "6$")
    code, name = repair(typed)

    assert name == "us-on-fr"
    assert codes.classify(code).medium == "ins-datamatrix"
    assert code == INS.replace("\x1d", "^]").encode()


def test_too_long_a_text_is_not_examined() -> None:
    assert repair("é" * 5000) == (("é" * 5000).encode(), "")


def test_halves_of_characters_are_not_our_fault() -> None:
    assert repair("\ud800")[1] == ""


NAMES = st.text(string.ascii_uppercase + " -'", min_size=1, max_size=60).map(str.strip).filter(bool)
INS_CODES = st.builds(
    InsDatamatrix,
    matricule=st.from_regex(r"[1-8][0-9]{14}", fullmatch=True),
    oid=st.from_regex(r"1\.2\.250\.1\.213\.1\.4\.(8|9|10|11)", fullmatch=True),
    prenoms=NAMES,
    nom=NAMES,
    sexe=st.sampled_from("MF"),
    date_naissance=st.from_regex(r"[0-9]{2}-[0-9]{2}-[0-9]{4}", fullmatch=True),
    code_lieu_naissance=st.from_regex(r"[0-9][0-9AB][0-9]{3}", fullmatch=True),
).map(lambda code: code.encode().decode())
SEALED_CODES = st.tuples(NAMES, NAMES).map(lambda names: SIGNER.seal(f"60{names[0]}\x1d62{names[1]}".encode()).decode())
PHONES = st.text(string.ascii_letters + string.digits + "-_", min_size=40, max_size=200).map("VITALESIM.".__add__)


@given(st.sampled_from(MANGLINGS), st.one_of(INS_CODES, PHONES))
def test_manglings_are_undone(mangling: Mangling, code: str) -> None:
    assert repair(mangled(mangling, code)) == (code.encode(), mangling.name)
    assert repair(code) == (code.encode(), "")


@given(st.sampled_from(MANGLINGS), SEALED_CODES)
def test_a_seal_is_restored_or_the_text_refused(mangling: Mangling, code: str) -> None:
    try:
        restored = repair(mangled(mangling, code))
    except PayloadInvalid:
        # Without an M in names and signature, two ways back make a 2D-Doc, of which one is wrong.
        return
    assert restored == (code.encode(), mangling.name)


@given(st.sampled_from([one for one in MANGLINGS if one.seen]), st.text(string.ascii_letters + string.digits + "-_"))
def test_an_opaque_text_is_never_made_another_one(mangling: Mangling, text: str) -> None:
    typed = mangled(mangling, text)
    try:
        restored, name = repair(typed)
    except PayloadInvalid:
        return
    assert (restored, name) in [(text.encode(), mangling.name), (typed.encode(), "")] or codes.classify(
        restored
    ).kind == "nir"


@given(st.text(string.ascii_letters + string.digits + "-_.~:/?#[]@!$&'()*+,;=%", max_size=200))
@example("openid4vp://?client_id=x")
def test_text_with_figures_is_left_as_it_is(text: str) -> None:
    text = f"0{text}579"

    assert repair(text) == (text.encode(), "")


@given(st.text(max_size=300), st.sampled_from(["", "IS01", "isà&àààààà", "DC04FR", "DCà'FR", "vitalesim."]))
def test_any_text(text: str, beginning: str) -> None:
    try:
        code, name = repair(beginning + text)
    except PayloadInvalid as refused:
        assert refused.variant == "wedge-layout"  # noqa: PT017  either is right
    else:
        assert name in {"", *BY_NAME}
        assert code or not (beginning + text).strip("\r\n\t")


WITHOUT_BIRTH = "IS010000000000000000000000S1277010115400329S21.2.250.1.213.1.4.8\x1dS3SARAH-LOU\x1dS4GARCIA\x1dS5F"


@every
def test_a_code_without_a_birth_date_is_restored_or_refused(mangling: Mangling) -> None:
    # Its hyphens are all in names then, where on another keyboard they may have been apostrophes.
    restored = assert_right_or_refused(WITHOUT_BIRTH, mangled(mangling, WITHOUT_BIRTH))
    assert restored or mangling.name.startswith("us-on-fr")


@pytest.mark.parametrize(
    "code",
    [
        "IS010000000000000000000000S1277010115400329S2A.B.C\x1dS3SARAH-LOU\x1dS4GARCIA\x1dS5FS621-01-1977S701154",
        "IS010000000000000000000000S1277010115400329S21.2.250.1.213.1.4.8\x1dS3SARAH-LOU\x1dS4GARCIA\x1dS5FS62B-01-1977",
        "IS010000000000000000000000S1277010115400329S21.2.250.1.213.1.4.8\x1dS3SARAH-LOU\x1dS4GARCIA\x1dS5X",
    ],
    ids=["an OID with letters", "a date with other signs", "a sex that there is not"],
)
def test_a_repair_is_taken_only_if_each_of_its_fields_is_as_it_should_be(code: str) -> None:
    with pytest.raises(PayloadInvalid):
        repair(mangled(BY_NAME["us-on-fr"], code))


def test_a_repair_that_would_read_a_number_with_signs_in_it_is_none() -> None:
    """A separator that was written out, within a number: another language of the keyboard makes a sign of it."""
    typed = "IS010000000000000000000000S111\\x1e599124123S21.2.250.1.213.1.4.8 S3FIRST NAMETEST S5MS618-06-1985S713201"
    with pytest.raises(PayloadInvalid):
        repair(typed + "S4LASTNAMETEST")


def test_a_repair_with_a_spoilt_oid_is_none() -> None:
    """It is no typed separator that makes half of the OID signs."""
    typed = (
        "ISà&ààààààààààààààààààààààS&éèèà&à&&('àà\"éçSé&:é:é2.250.1/213.1.4.8 S3FIRST NAMETEST S-1985$S713201S4LA2.S"
    )
    with pytest.raises(PayloadInvalid):
        repair(typed + "èçççç")


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("us-on-fr", True),
        ("fr-on-us", True),
        ("caps-lock", False),
        ("us-on-fr, caps-lock", True),
        ("fr-on-us, caps-lock", False),
        ("shift-lock", True),
        ("us-on-fr, shift-lock", False),
    ],
)
def test_which_manglings_can_be_seen_in_a_text_of_which_nothing_is_known(name: str, seen: bool) -> None:
    assert BY_NAME[name].seen == seen
