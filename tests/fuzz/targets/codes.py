"""What is printed, shown and scanned: codes as bytes and as pictures, and the lines of imagers."""

import math
import tomllib
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import segno

from tests.fuzz.target import NEEDLE_NAME, NEEDLE_NIR, Target, cut, only
from tests.protocol.seal_office import Office, Signatory
from vitale_drivers.base import Report
from vitale_drivers.camera.opencv import CvPicture, Form
from vitale_drivers.decoding.cascade import decode
from vitale_drivers.decoding.stream import StreamDecoder
from vitale_drivers.decoding.symbol import Symbol
from vitale_drivers.scanner.aim_identifiers import split_identifier
from vitale_drivers.scanner.framing import LineEvent, LineReader, Scan, ScanFraming
from vitale_drivers.scanner.scans import Scans
from vitale_protocol import media
from vitale_protocol.errors import PayloadInvalid
from vitale_protocol.events import Reader
from vitale_protocol.media import ins_datamatrix, separators
from vitale_protocol.media.codes import classify
from vitale_protocol.media.medium import OID_UNUSUAL
from vitale_protocol.media.mrz import read_mrz
from vitale_protocol.media.nir import read_nir
from vitale_protocol.media.two_d_doc import parsing, reading
from vitale_protocol.media.two_d_doc.seals import verify_seal
from vitale_protocol.media.two_d_doc.trust import parse_trust_list
from vitale_protocol.media.wedge import MANGLINGS, PAIRS, Mangling, repair

__all__ = ["TARGETS"]

VECTORS = Path(__file__).parents[2] / "protocol" / "media" / "vectors"
WRITTEN = tuple(separators.WRITTEN)
SEPARATORS = (b"\x1d", b"\x1e", b"\x1f", *WRITTEN)
SYMBOLOGIES = ("", "qr", "datamatrix", "aztec", "pdf417", "code128", "ean", "micro-qr")
UNUSUAL = "\N{REPLACEMENT CHARACTER}"


def _vectors(name: str) -> list[dict[str, Any]]:
    groups: dict[str, list[dict[str, Any]]] = tomllib.loads((VECTORS / f"{name}.toml").read_text("utf-8"))
    return [one for group in groups.values() for one in group if "code" in one]


# ── zones and numbers ────────────────────────────────────────────────────────────────────────────────────────────


def zone(data: bytes) -> None:
    """A machine-readable zone, and a NIR: nothing is said that does not stand in it; blanks are fillers."""
    text = data.decode("utf-8", "replace")
    found = read_mrz(text)
    assert found == read_mrz(text.replace(" ", "<"))
    if found is not None:
        words = text.replace("<", " ").split()
        assert all(word in " ".join(words) for word in f"{found.name} {found.given_names}".split())
    number = read_nir(text)
    assert number.number + (number.key or "") == text


def _zones() -> Iterable[bytes]:
    yield b"P<FRA" + b"FOIN<<EMMA<LOUISE".ljust(39, b"<") + b"12AB345671FRA7701214F2801018<<<<<<<<<<<<<<00"
    yield b"IDFRAFOIN".ljust(30, b"<") + b"752011" + b"120175201234" + b"0EMMA<<LOUISE<".ljust(14, b"<") + b"7701214F2"
    yield (b"I<FRA" + b"X" * 25) + (b"7701214F2801018FRA" + b"<" * 12) + b"FOIN<<EMMA".ljust(30, b"<")
    yield NEEDLE_NIR.encode()


# ── INS Datamatrix ───────────────────────────────────────────────────────────────────────────────────────────────

_FIELDS = ("matricule", "oid", "prenoms", "nom", "sexe", "date_naissance", "code_lieu_naissance")


def ins(data: bytes) -> None:
    """An INS code says the same once it is printed again; one that was cut says less, and nothing else."""
    if len(data) < 2:
        return
    code = ins_datamatrix.HEADER + data[2:]
    with only(PayloadInvalid, read=data):
        parsed = ins_datamatrix.parse(code)
        again = parsed.encode()
        # A printed value has no separator in it, and no identifier.
        if again == code:
            assert ins_datamatrix.parse(again) == parsed
        _check_said(ins_datamatrix.interpret({"code": code}, simulated=False).record.beneficiaires or (), code)
        end = len(ins_datamatrix.HEADER) + int.from_bytes(data[:2], "big") % (len(data) - 1)
        _check_cut(parsed, code, end)


def _check_cut(parsed: ins_datamatrix.InsDatamatrix, code: bytes, end: int) -> None:
    if any(sign in code for sign in SEPARATORS[:3]) and any(written in code for written in WRITTEN):
        return  # written ones mean nothing beside real ones, and much where those were cut off
    with only(PayloadInvalid, read=code):
        less_code = code[: end - _within_letter(code, end)]
        part = ins_datamatrix.parse(less_code)
        warnings = ins_datamatrix.interpret({"code": less_code}, simulated=False).warnings
        for name in _FIELDS:
            whole, less = getattr(parsed, name) or "", getattr(part, name) or ""
            # Without separators the S of the next identifier is that of a name which ends in S. A field in two
            # encodings is read as Latin-1, and what was cut before the second one is not. What is left of a separator
            # that was typed behind an OID is warned of.
            assert (
                whole.startswith(less)
                or whole == less.removesuffix("S").rstrip()
                or whole.encode("latin-1", "replace").startswith(less.encode())
                or (name == "oid" and OID_UNUSUAL in warnings)
            ), f"a cut code says another {name}"


def _within_letter(code: bytes, end: int) -> int:
    """How many bytes before a cut belong to a letter of UTF-8 that it goes through, where French has no such letter."""
    for back in range(1, 4):
        lead = code[end - back]
        size = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
        if lead >= 0xC2:
            return back if back < size and lead not in {0xC3, 0xC5} else 0
        if lead < 0x80:
            return 0
    return 0


def _check_said(people: Iterable[Any], code: bytes) -> None:
    content = code.decode("utf-8", "replace") + code.decode("latin-1")
    for sign, written in ((sign.decode(), text.decode()) for text, sign in separators.WRITTEN.items()):
        content += code.decode("utf-8", "replace").replace(written, sign)
    for person in people:
        for said in (person.nom_patronymique, person.nom_usuel, person.prenom, person.nir):
            # Blanks beside one another are the filler of a machine-readable zone, and one blank of a name.
            assert said is None or all(part in content for part in said.replace(UNUSUAL, " ").split())


def _ins() -> Iterable[bytes]:
    for one in _vectors("ins_datamatrix"):
        code = one["code"].encode()
        if code.startswith(ins_datamatrix.HEADER):
            yield b"\x00\x40" + code[len(ins_datamatrix.HEADER) :]
    yield (
        b"\x00\x30"
        + f"S1{NEEDLE_NIR}S21.2.250.1.213.1.4.8S3ÉLODIE\x1dS4{NEEDLE_NAME}É\x1dS5FS621-01-1977S799999".encode()
    )
    yield b"\x00\x20S3JOS\xc9<GS>S4D'ESSAI^]S5XS6"


# ── 2D-Doc ───────────────────────────────────────────────────────────────────────────────────────────────────────


@cache
def _signer() -> Signatory:
    return Office().signer()


@cache
def _trust() -> Any:
    return parse_trust_list(_signer().pem)


def two_d_doc(data: bytes) -> None:
    """A 2D-Doc as it is, never verified; or a sealed message, verified, and not any more once it was changed."""
    if len(data) < 3:
        return
    if data[0] & 1:
        with only(PayloadInvalid, read=data):
            document = parsing.parse(data[2:])
            _check_zones(document)
            # Nobody who makes inputs here has the key.
            assert not verify_seal(document, _trust()).verified
        with only(PayloadInvalid, read=data):
            said = reading.interpret({"code": data[2:]}, simulated=False, trust=_trust())
            _check_said(said.record.beneficiaires or (), data)
        return
    code = _signer().seal(data[2:])
    with only(PayloadInvalid, read=data):
        document = parsing.parse(code)
        if document.covered == code.partition(b"\x1f")[0]:
            assert verify_seal(document, _trust()).verified
            changed = bytearray(code)
            changed[40 + data[1] % max(1, len(document.covered) - 40)] ^= 1
            with only(PayloadInvalid, read=data):
                forged = parsing.parse(bytes(changed))
                assert forged.covered == document.covered or not verify_seal(forged, _trust()).verified


def _check_zones(document: parsing.TwoDDoc) -> None:
    assert document.version in {1, 2, 3, 4}
    assert len(document.signature) in {64, 96, 132}
    text = document.covered.decode("utf-8", "replace") + document.covered.decode("latin-1")
    assert all(field.value in text for field in document.fields)
    assert all("\x1d" not in field.value and "\x1e" not in field.value for field in document.fields)


def _two_d_docs() -> Iterable[bytes]:
    for one in _vectors("two_d_doc"):
        yield b"\x01\x00" + one["code"].encode()
    fields = b"62FOIN-AIGUILLE\x1d60EMMA/LOUISE\x1d68F6921011977"
    yield b"\x00\x03" + fields
    yield b"\x00\x22" + b"6FIDFRAFOIN" + b"<" * 25 + b"\x1e10MME/FOIN/EMMA\x1d"
    yield b"\x01\x00DC04FR990001FFFF20030701FR" + fields + b"<US>" + b"A" * 103 + b"<GS>" + fields


# ── what keyboards make of them ──────────────────────────────────────────────────────────────────────────────────


def wedge(data: bytes) -> None:
    """A typed text is taken as it is, refused, or repaired: by the one mangling that makes the text of what comes."""
    text = data.decode("utf-8", "surrogateescape")
    with only(PayloadInvalid, read=data):
        code, name = repair(text)
        typed = text.rstrip("\r\n\t")
        if name:
            # Two ways may have one name, where they differ in letters that a code does not have.
            ways = [one for one in (*MANGLINGS, *PAIRS) if one.name == name]
            assert any(_may_come(code.decode("utf-8", "surrogatepass"), typed, one) for one in ways)
        else:
            assert code == typed.encode("utf-8", "surrogatepass")
        restored = separators.restored(code)
        assert separators.restored(restored) == restored


def _may_come(meant: str, typed: str, way: Mangling) -> bool:
    """True if each character is what comes of the one meant: by the first of its keys, or by another."""
    comes = way.mangle(meant) or ""
    pairs = zip(typed, comes, strict=False)
    return len(typed) == len(comes) and all(one == key or way.undo(one) == way.undo(key) for one, key in pairs)


def _typed() -> Iterable[bytes]:
    texts = [f"VITALESIM.{NEEDLE_NAME}", NEEDLE_NIR, *(one["code"] for one in _vectors("ins_datamatrix")[:4])]
    for text in texts:
        yield text.encode()
        for one in MANGLINGS:
            mangled = one.mangle(text.replace("\x1d", ""))
            if mangled:
                yield mangled.encode()


def restored(data: bytes) -> None:
    """Separators are restored once and for all, and nothing else is touched."""
    once = separators.restored(data)
    assert separators.restored(once) == once
    assert len(once) <= len(data)
    assert any(sign in data for sign in (b"\x1d", b"\x1e", b"\x1f")) is False or once == data


def code(data: bytes) -> None:
    """Any code is named, and what is a medium is interpreted, or refused as documented."""
    if not data:
        return
    symbology = SYMBOLOGIES[data[0] % len(SYMBOLOGIES)]
    found = classify(data[1:], symbology)
    assert (found.medium is None) == (found.problem is not None)
    assert classify(data[1:], symbology) == found
    if found.medium is not None:
        # What an imager puts around a code is no part of it.
        assert (found.evidence.get("string") or found.evidence["code"]) in data[1:]
        with only(PayloadInvalid, read=data):
            said = media.interpret(found.medium, found.evidence, simulated=False)
            assert said.medium == found.medium
            assert not said.proof.verified


def _codes() -> Iterable[bytes]:
    for one in (*_vectors("ins_datamatrix")[:5], *_vectors("two_d_doc")[:5]):
        yield b"\x02" + one["code"].encode()
    for text in ("mdoc:x", "eudi-openid4vp://a", "010340093" + "0" * 9, "3400930000120", NEEDLE_NIR, "VITALESIM.abc"):
        yield b"\x00" + text.encode()


# ── lines of imagers ─────────────────────────────────────────────────────────────────────────────────────────────

FRAMINGS = (
    ScanFraming(suffixes=(b"\r", b"\n"), aim=True),
    ScanFraming(prefix=b"\x02", suffixes=(b"\x03",)),
    ScanFraming(suffixes=(b"\r\n",), aim=True),
    ScanFraming(aim=True),
)


def line(data: bytes) -> None:
    """Scans are the same however a line is cut; what is kept is bounded; every event is dealt with."""
    if len(data) < 2:
        return
    framing, size = FRAMINGS[data[0] % len(FRAMINGS)], 1 + data[1] % 64
    whole = _scanned(framing, [data[2:]], bound=len(data))
    parts = _scanned(framing, list(cut(data[2:], size)), bound=size)
    assert _shown(parts) == _shown(whole)
    told: list[Report] = []
    scans = Scans(Reader(id="r", driver="scanner", name="r", media=("apcv-qr",), state="empty"), 5.0, 1.0, told.append)
    for event in whole:
        scans.take(event)
    symbology, content = split_identifier(data[2:])
    assert len(content) <= len(data) - 2
    assert symbology or content == data[2:]


def _scanned(framing: ScanFraming, pieces: list[bytes], *, bound: int) -> list[LineEvent]:
    reader = LineReader(framing, max_bytes=96, idle_gap=0.1, line_timeout=1.0)
    events: list[LineEvent] = []
    for piece in pieces:
        events += reader.receive(piece, 1.0)
        assert reader.kept <= 96 + 3 + 2 * len(framing.prefix) + 2 + bound
    events += reader.expire(3.0)
    assert reader.due is None
    return events


def _shown(events: list[LineEvent]) -> list[object]:
    return [(one.data, one.symbology) if isinstance(one, Scan) else one for one in events]


def _lines() -> Iterable[bytes]:
    yield b"\x00\x04]Q1VITALESIM.abc\r\n]d2IS01" + b"0" * 22 + b"S4FOIN\r"
    yield b"\x01\x01noise\x02abc\x03\x02" + b"x" * 99 + b"\x03\x02def\x03\x02torn"
    yield b"\x02\x07]Q2\\000026a\\\\b\r\rc\r\n\r\n"
    yield b"\x03\x40]C1" + NEEDLE_NIR.encode()


AIM = tuple(b"]" + bytes((letter, modifier)) for letter in b"ACEFGHILMQRSUXdehz" for modifier in b"0126")

# ── pictures ─────────────────────────────────────────────────────────────────────────────────────────────────────


def compressed(data: bytes) -> None:
    """A picture of a camera, or any file that pretends to be one: read, or found damaged."""
    head = data[:8]
    if head.startswith(b"\xff\xd8") and _declared(data) > 1 << 20:
        return  # what a driver asks of a camera is smaller: sizes come from its settings, not from the picture
    picture = CvPicture("mjpg", np.frombuffer(data, dtype=np.uint8))
    grey = picture.grey()
    jpeg = picture.jpeg()
    if grey is None:
        return
    assert grey.ndim == 2
    assert jpeg is None or jpeg[:2] == b"\xff\xd8"
    for symbol in decode(grey, budget_ms=4.0):
        _check(symbol)


def _declared(data: bytes) -> int:
    """The pixels that the frame headers of a JPEG tell, at most."""
    heads = (data[at + 5 : at + 9] for at in range(len(data) - 8) if data[at] == 0xFF and data[at + 1] & 0xF0 == 0xC0)
    return max((int.from_bytes(one[:2], "big") * int.from_bytes(one[2:], "big") for one in heads), default=0)


def _check(symbol: Symbol) -> None:
    assert symbol.symbology in {"qr", "datamatrix"}
    assert all(math.isfinite(value) for corner in symbol.corners for value in corner)
    if symbol.sequence is not None:
        assert 0 <= symbol.sequence.index <= 15
        assert 1 <= symbol.sequence.count <= 16
    classify(symbol.data, symbol.symbology)


def _drawn(text: str, *, scale: int, symbols: int = 0) -> npt.NDArray[np.uint8]:
    made = segno.make_sequence(text, symbol_count=symbols)[0] if symbols else segno.make(text, error="l", micro=False)
    modules = np.array([list(row) for row in made.matrix_iter(scale=scale, border=2)], dtype=np.uint8)
    return np.asarray(np.where(modules, 0, 255), dtype=np.uint8)


def _compressed() -> Iterable[bytes]:
    for form, text in ((".jpg", "VITALESIM.abc"), (".png", "other"), (".jpg", NEEDLE_NIR)):
        done, data = cv2.imencode(form, _drawn(text, scale=3))
        assert done
        yield data.tobytes()


FORMS: tuple[Form, ...] = ("grey", "bgr", "yuyv", "uyvy")


def raw(data: bytes) -> None:
    """Rows of pixels of any content, as modules of a code or as bytes of a camera's format, frame after frame."""
    if len(data) < 3:
        return
    width, form = 1 + data[0] % 64, FORMS[data[1] % len(FORMS)]
    content = data[2:]
    if data[1] & 0x80:
        bits = np.unpackbits(np.frombuffer(content, dtype=np.uint8))
        height = len(bits) // width
        if not height:
            return
        modules = np.where(bits[: height * width].reshape(height, width), 0, 255).astype(np.uint8)
        pixels = np.pad(np.kron(modules, np.ones((3, 3), dtype=np.uint8)), 12, constant_values=255)
        picture = CvPicture("grey", pixels)
    else:
        depth = {"grey": 1, "bgr": 3}.get(form, 2)
        height = len(content) // (width * depth)
        if not height:
            return
        shape = (height, width) if depth == 1 else (height, width, depth)
        pixels = np.frombuffer(content[: height * width * depth], dtype=np.uint8).reshape(shape)
        picture = CvPicture(form, pixels)
    grey = picture.grey()
    assert grey is not None
    assert picture.jpeg() is not None
    stream = StreamDecoder(budget_ms=4.0)
    for _ in range(3):
        for symbol in stream.see(grey):
            _check(symbol)


@lru_cache(maxsize=1)
def _raw() -> tuple[bytes, ...]:
    def packed(text: str, symbols: int = 0) -> bytes:
        dark = _drawn(text, scale=1, symbols=symbols) == 0
        return bytes((dark.shape[1] - 1, 0x80)) + np.packbits(dark).tobytes()

    return (
        packed("VITALESIM.abc"),
        packed(NEEDLE_NIR * 3),
        packed("in two parts, each of them a symbol", symbols=2),
        *(bytes((7, number)) + bytes(range(96)) for number in range(4)),
    )


TARGETS = (
    Target(name="mrz", run=zone, seeds=_zones, words=(b"P<FRA", b"IDFRA", b"<<", b"I<")),
    Target(
        name="ins-datamatrix",
        run=ins,
        seeds=_ins,
        words=(*(f"S{one}".encode() for one in range(1, 10)), b"1.2.250.1.213.1.4.8", *SEPARATORS),
    ),
    Target(name="2d-doc", run=two_d_doc, seeds=_two_d_docs, words=(b"DC04FR990001", b"62", b"60", b"6F", *SEPARATORS)),
    Target(
        name="wedge",
        run=wedge,
        seeds=_typed,
        words=(b"IS010000000000000000000000", b"DC04", b"VITALESIM.", "ISà&".encode(), "ÉÀ§".encode(), *WRITTEN),
    ),
    Target(name="separators", run=restored, seeds=lambda: (b"<GS>^]\\x1d", b"a\x1d<GS>"), words=SEPARATORS),
    Target(
        name="codes",
        run=code,
        seeds=_codes,
        words=(
            b"IS01" + b"0" * 22,
            b"DC04FR990001FFFF2003",
            b"mdoc:",
            b"openid4vp://",
            b"VITALESIM.",
            b"]d201",
            b"\x1d",
        ),
    ),
    Target(name="scanner-line", run=line, seeds=_lines, words=(*AIM, b"\r\n", b"\x02", b"\x03", b"\\000026")),
    Target(
        name="picture", run=compressed, seeds=_compressed, words=(b"\xff\xd8", b"\xff\xc0", b"\xff\xda"), max_len=8192
    ),
    Target(name="frames", run=raw, seeds=_raw, max_len=8192),
)
