r"""Prefix that an imager sends before a code: the AIM identifier, and the escapes that it announces; pure.

An identifier is ``]``, a letter for the symbology and a modifier (ISO/IEC 15424). The manuals of all makers have the
same tables. A modifier of the extended channel announces escapes. ``\NNNNNN`` names a character set, and a backslash of
the code is sent twice. Some imagers announce nothing, and send the escapes all the same.
"""

import re

__all__ = ["split_identifier", "without_escapes"]

_SYMBOLOGIES = {
    b"A": "code39",
    b"C": "code128",
    b"E": "ean",
    b"F": "codabar",
    b"G": "code93",
    b"H": "code11",
    b"I": "itf",
    b"L": "pdf417",
    b"M": "msi",
    b"Q": "qr",
    b"R": "straight-2of5",
    b"S": "2of5",
    b"U": "maxicode",
    b"X": "other",
    b"d": "datamatrix",
    b"e": "databar",
    b"h": "hanxin",
    b"z": "aztec",
}

# Modifiers that say that the content is GS1 (General Specifications §5.1.2), by symbology.
_GS1 = {
    b"C": (b"1", "gs1-128"),
    b"Q": (b"34", "gs1-qr"),
    b"d": (b"25", "gs1-datamatrix"),
    b"e": (b"0123", "gs1-databar"),
}

# Modifiers under which the ECI protocol is in force, by symbology.
_ESCAPED = {
    b"Q": b"246",
    b"d": b"456",
    b"L": b"1",
    b"U": b"23",
    b"h": b"13",
    b"z": b"3456789",
}

_IDENTIFIER = re.compile(rb"\](?P<letter>[ACEFGHILMQRSUXdehz])(?P<modifier>[0-9A-Za-z])")
# AIM ITS/04-001: those in use have numbers below one hundred.
_ECI_FIRST = re.compile(rb"\\0000[0-9]{2}")
_ESCAPE = re.compile(rb"\\(?:(\\)|[0-9]{6})")


def split_identifier(line: bytes) -> tuple[str, bytes]:
    """The symbology, empty where the line begins with no identifier, and the content of the code."""
    found = _IDENTIFIER.match(line)
    if found is None:
        return "", line
    letter, content = found["letter"], line[found.end() :]
    if found["modifier"] in _ESCAPED.get(letter, b""):
        content = _unescaped(content)
    modifiers, symbology = _GS1.get(letter, (b"", ""))
    return (symbology if found["modifier"] in modifiers else _SYMBOLOGIES[letter]), content


def without_escapes(content: bytes) -> bytes:
    """The content of a code whose imager sends escapes and announces none.

    It begins with the name of a character set.
    """
    return _unescaped(content) if _ECI_FIRST.match(content) else content


def _unescaped(content: bytes) -> bytes:
    return _ESCAPE.sub(lambda escape: escape[1] or b"", content)
