"""The profile of an apCV application: a TOML text for reading an opaque string from a phone over NFC.

The AID and the commands of the real application are not public. Whoever is licensed to know them writes a profile. ::

    name = "simulator"                     # a to z, 0 to 9 and "-", up to 32
    version = "1"
    origin = "simulated"                   # or "production", "test", "demo"
    description = "…"                      # optional
    aids = ["F0 56 49 54 41 4C 45 53 49 4D"]   # tried in this order, 5 to 16 bytes each

    [select]                               # optional
    p2 = 0x00                              # 0x00: first or only occurrence, with its FCI; 0x0C: without
    le = true                              # whether an answer is asked for

    [[commands]]                           # 1 to 16, sent in this order after SELECT
    apdu = "00 CA 00 5E 00"                # the whole command APDU
    keep = true                            # whether its answer belongs to the string; false for what only prepares
    blocks = false                         # true: P1-P2 is an offset, the command is repeated to the end (READ BINARY)
    accept = ["9000"]                      # the status words that are good

    [assembly]                             # optional: from the kept answers, joined, to the string
    form = "raw"                           # "raw": it is the string
    # form = "tlv", path = ["5E"]          # "tlv": the value at a path of BER-TLV tags
    # form = "length", bytes = 2           # "length": behind its length, 1 to 4 bytes, big-endian; then filler

    [refusals]                             # optional: status words with a meaning
    locked = ["6985"]                      # the phone is locked: its owner is to unlock the application

    [limits]                               # optional
    min_bytes = 1                          # of the string
    max_bytes = 4096
    max_commands = 64                      # of one reading, SELECT included

The string is opaque: nothing here, and nothing behind it, looks into it.
"""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Annotated, Final, Literal, NoReturn, TypeVar

import msgspec

from vitale_protocol import tlv
from vitale_protocol.apdu import Command, ReadingScript, Response, StatusWord
from vitale_protocol.errors import ConfigurationInvalid, JsonValue, MediumUnreadable, MediumUnsupported

__all__ = [
    "MAX_STRING",
    "SIMULATOR_AID",
    "Assembly",
    "Profile",
    "ProfileCommand",
    "ProfileLimits",
    "ProfileOrigin",
    "parse_profile",
]

MAX_STRING: Final = 4096
"""Bytes of a string that any profile may allow."""

SIMULATOR_AID: Final = bytes.fromhex("F0") + b"VITALESIM"
"""ISO/IEC 7816-4 §12.2.3: category F is proprietary and not registered. A profile with it is of origin ``simulated``,
so that a copy of the simulator's profile cannot pass its strings for real ones."""

ProfileOrigin = Literal["production", "test", "demo", "simulated"]

_MAX_TEXT = 64 * 1024
_MAX_OFFSET = 0x7FFF  # ISO/IEC 7816-4 §11.3.3: fifteen bits of P1-P2; bit 8 of P1 set means a short file identifier.
_NO_SUCH_COMMAND = frozenset({StatusWord.INSTRUCTION_NOT_SUPPORTED, StatusWord.CLASS_NOT_SUPPORTED})
_FCI, _DF_NAME = 0x6F, 0x84  # ISO/IEC 7816-4 §5.3.3
_END_OF_FILE = frozenset({StatusWord.WRONG_OFFSET, StatusWord.END_OF_FILE_REACHED})

_MEDIUM: Final[dict[str, JsonValue]] = {"medium": "apcv-nfc"}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ProfileCommand:
    """A command after SELECT; the members are those of the TOML."""

    command: Command
    keep: bool = True
    blocks: bool = False
    accept: frozenset[int] = frozenset({int(StatusWord.OK)})


@dataclass(frozen=True, slots=True)
class Assembly:
    """Rule that takes the string out of the kept answers; ``path`` is for ``tlv``, ``length_bytes`` for ``length``."""

    form: Literal["raw", "tlv", "length"] = "raw"
    path: tuple[int, ...] = ()
    length_bytes: int = 0


class ProfileLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of one reading: bytes of the string, and commands with SELECT among them."""

    min_bytes: Annotated[int, msgspec.Meta(ge=1, le=MAX_STRING)] = 1
    max_bytes: Annotated[int, msgspec.Meta(ge=1, le=MAX_STRING)] = MAX_STRING
    max_commands: Annotated[int, msgspec.Meta(ge=2, le=256)] = 64


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile that was validated.

    Attributes:
        name: its name.
        version: its version.
        origin: where the strings come from that it reads.
        aids: the application's names, in the order in which they are tried.
        commands: what is sent after SELECT.
        description: for people.
        select_p2: P2 of SELECT.
        select_le: whether SELECT asks for an answer.
        assembly: from the answers to the string.
        locked: the status words of a locked phone.
        limits: bounds.
    """

    name: str
    version: str
    origin: ProfileOrigin
    aids: tuple[bytes, ...]
    commands: tuple[ProfileCommand, ...]
    description: str = ""
    select_p2: int = 0x00
    select_le: bool = True
    assembly: Assembly = Assembly()
    locked: frozenset[int] = frozenset()
    limits: ProfileLimits = field(default_factory=ProfileLimits)

    @property
    def label(self) -> str:
        """``name/version``, as the evidence names it."""
        return f"{self.name}/{self.version}"

    def reading_script(self) -> ReadingScript[dict[str, bytes]]:
        """The script that reads a phone, giving the evidence ``{"string": …, "profile": b"name/version"}``.

        A medium that refuses the SELECT has no such application, whatever its status word. Badges and bank cards have
        status words of their own. The same holds for one that accepts any SELECT, and then shows by its answers that it
        is another.

        Raises:
            MediumUnsupported: the medium has no application of this profile.
            MediumUnreadable: the phone is locked (``data.state`` is ``phone-locked``), or what it answers is not what
                the profile says.
        """
        return _Reading(self).script()

    def selection_script(self) -> ReadingScript[None]:
        """The script that asks whether a medium has the application, and reads nothing.

        Raises:
            MediumUnsupported: the medium has no application of this profile.
            MediumUnreadable: the phone is locked, or what it answers is no answer.
        """
        return _Reading(self).selection()


class _Reading:
    """One reading by a profile; counts its commands."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._sent = 0
        self._kept = b""
        self._doubtful = False

    def script(self) -> ReadingScript[dict[str, bytes]]:
        yield from self._select()
        try:
            for one in self._profile.commands:
                yield from self._blocks(one) if one.blocks else self._single(one)
            return {"string": self._string(), "profile": self._profile.label.encode("ascii")}
        except MediumUnreadable as error:
            if self._doubtful and error.variant != "phone-locked":
                raise _not_here() from error
            raise

    def selection(self) -> ReadingScript[None]:
        yield from self._select()
        if self._doubtful:
            raise _not_here()

    def _select(self) -> ReadingScript[None]:
        for aid in self._profile.aids:
            le = 256 if self._profile.select_le else None
            response = yield from self._send(Command(0x00, 0xA4, 0x04, self._profile.select_p2, aid, le))
            if response.ok:
                self._doubtful = not _may_be_of(aid, response.data)
                return
            if response.sw in self._profile.locked:
                self._refused(response)
        raise _not_here()

    def _single(self, one: ProfileCommand) -> ReadingScript[None]:
        response = yield from self._send(one.command)
        if response.sw not in one.accept:
            self._refused(response)
        if one.keep:
            self._keep(response.data)

    def _blocks(self, one: ProfileCommand) -> ReadingScript[None]:
        """Repeats a command to the end: an answer shorter than Le, none, or a status word that says so."""
        first = one.command.p1 << 8 | one.command.p2
        step = one.command.le or 256
        start = 0 if first > _MAX_OFFSET else first
        command, offset = one.command, start
        while True:
            response = yield from self._send(command)
            if response.sw in _END_OF_FILE and not response.data and offset > start:
                return
            if response.sw not in one.accept | {StatusWord.END_OF_FILE_REACHED}:
                self._refused(response)
            if one.keep:
                self._keep(response.data)
            offset += len(response.data)
            if len(response.data) < step or response.sw == StatusWord.END_OF_FILE_REACHED:
                return
            if offset > _MAX_OFFSET:
                raise MediumUnreadable("the phone's answer does not end", variant="apcv-nfc", data=_MEDIUM)
            command = replace(command, p1=offset >> 8, p2=offset & 0xFF)

    def _send(self, command: Command) -> ReadingScript[Response]:
        self._sent += 1
        if self._sent > self._profile.limits.max_commands:
            raise MediumUnreadable(
                "the reading takes more commands than the profile allows", variant="apcv-nfc", data=_MEDIUM
            )
        response = yield command
        return response

    def _keep(self, data: bytes) -> None:
        # What wraps the string (tags, lengths, filler) is never more than the string may be at most.
        if len(self._kept) + len(data) > 2 * MAX_STRING:
            raise MediumUnreadable("the phone gives more than any string may have", variant="apcv-nfc", data=_MEDIUM)
        self._kept += data

    def _refused(self, response: Response) -> NoReturn:
        data = {**_MEDIUM, "sw": f"{response.sw:04X}"}
        if response.sw in self._profile.locked:
            raise MediumUnreadable(
                "the phone is locked", variant="phone-locked", data={**data, "state": "phone-locked"}
            )
        if response.sw in _NO_SUCH_COMMAND:
            # An application of the profile has the profile's commands: what lacks them accepts any SELECT.
            self._doubtful = True
        raise MediumUnreadable("the phone refused a command", variant="apcv-nfc", data=data)

    def _string(self) -> bytes:
        string = _assembled(self._profile.assembly, self._kept)
        limits = self._profile.limits
        if not limits.min_bytes <= len(string) <= limits.max_bytes:
            raise MediumUnreadable("the string is not as long as the profile allows", variant="apcv-nfc", data=_MEDIUM)
        return string


def _not_here() -> MediumUnsupported:
    return MediumUnsupported(
        "the medium has no application of the profile", variant="contactless", data={"medium": "unknown-card"}
    )


def _may_be_of(aid: bytes, information: bytes) -> bool:
    """True if the answer to a SELECT fits the application: nothing, or an FCI with this name or none.

    Phones answer without an FCI. A name may be longer than the one that was selected (ISO/IEC 7816-4 §12.2).
    """
    if not information:
        return True
    try:
        objects = tlv.parse_filled(information)
    except MediumUnreadable:
        return False
    name = tlv.find(objects, _FCI, _DF_NAME)
    return tlv.find(objects, _FCI) is not None and (name is None or name.value.startswith(aid))


def _assembled(assembly: Assembly, kept: bytes) -> bytes:
    if assembly.form == "tlv":
        try:
            found = tlv.find(tlv.parse_filled(kept), *assembly.path)
        except MediumUnreadable as error:
            raise MediumUnreadable(error.detail, variant="apcv-nfc", data=_MEDIUM) from error
        if found is None:
            raise MediumUnreadable(
                "the phone's answer has no string at the profile's path", variant="apcv-nfc", data=_MEDIUM
            )
        return found.value
    if assembly.form == "length":
        start = assembly.length_bytes
        end = start + int.from_bytes(kept[:start], "big")
        if len(kept) < max(start, end):
            raise MediumUnreadable("the phone's answer is shorter than it says", variant="apcv-nfc", data=_MEDIUM)
        return kept[start:end]
    return kept


# ── from TOML ────────────────────────────────────────────────────────────────────────────────────────────────────

_Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}\Z")]
_Version = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+-]{0,31}\Z")]
_Hex = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Fa-f]{2}( ?[0-9A-Fa-f]{2})*\Z", max_length=1024)]
_Status = Annotated[str, msgspec.Meta(pattern=r"^[69][0-9A-Fa-f]{3}\Z")]
_Statuses = Annotated[tuple[_Status, ...], msgspec.Meta(max_length=32)]


class _Select(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    p2: Literal[0x00, 0x0C] = 0x00
    le: bool = True


class _Command(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    apdu: _Hex
    keep: bool = True
    blocks: bool = False
    accept: Annotated[_Statuses, msgspec.Meta(min_length=1)] = ("9000",)


class _Assembly(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    form: Literal["raw", "tlv", "length"] = "raw"
    path: Annotated[tuple[_Hex, ...], msgspec.Meta(max_length=tlv.MAX_DEPTH)] = ()
    bytes: Annotated[int, msgspec.Meta(ge=1, le=4)] | None = None


class _Refusals(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    locked: _Statuses = ()


class _Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: _Name
    version: _Version
    origin: ProfileOrigin
    aids: Annotated[tuple[_Hex, ...], msgspec.Meta(min_length=1, max_length=16)]
    commands: Annotated[tuple[_Command, ...], msgspec.Meta(min_length=1, max_length=16)]
    description: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    select: _Select = _Select()
    assembly: _Assembly = _Assembly()
    refusals: _Refusals = _Refusals()
    limits: ProfileLimits = ProfileLimits()


def parse_profile(text: str, *, source: str = "profile.toml") -> Profile:
    """Validates a profile.

    Args:
        text: its TOML.
        source: what to call it in errors: the path of the file.

    Raises:
        ConfigurationInvalid: it is not a profile; ``data.file`` is ``source``, ``data.path`` the place.
    """
    if len(text) > _MAX_TEXT:
        raise ConfigurationInvalid("the profile is too long", data={"file": source, "path": "$"})
    try:
        document = msgspec.convert(tomllib.loads(text), _Document)
    except RecursionError as error:
        raise _invalid("nested too deep", source, "$") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationInvalid(f"the profile is not TOML: {error}", data={"file": source, "path": "$"}) from error
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at ")
        raise _invalid(reason, source, path.strip("`") or "$") from error
    return _Checked(document, source).profile()


def _invalid(reason: str, source: str, path: str) -> ConfigurationInvalid:
    return ConfigurationInvalid(f"the profile is not valid at {path}: {reason}", data={"file": source, "path": path})


class _Checked:
    """Checks that the shapes alone do not make."""

    def __init__(self, document: _Document, source: str) -> None:
        self._document = document
        self._source = source

    def profile(self) -> Profile:
        document = self._document
        if document.limits.min_bytes > document.limits.max_bytes:
            raise self._wrong("it is above max_bytes", "$.limits.min_bytes")
        if not any(one.keep for one in document.commands):
            raise self._wrong("no command's answer is kept", "$.commands")
        return Profile(
            name=document.name,
            version=document.version,
            origin=document.origin,
            aids=self._aids(),
            commands=tuple(self._command(one, f"$.commands[{at}]") for at, one in enumerate(document.commands)),
            description=document.description,
            select_p2=document.select.p2,
            select_le=document.select.le,
            assembly=self._assembly(),
            locked=_statuses(document.refusals.locked),
            limits=document.limits,
        )

    def _aids(self) -> tuple[bytes, ...]:
        aids = tuple(bytes.fromhex(one) for one in self._document.aids)
        for at, aid in enumerate(aids):
            if not 5 <= len(aid) <= 16:
                raise self._wrong("an AID has 5 to 16 bytes", f"$.aids[{at}]")
            if aid in aids[:at]:
                raise self._wrong("this AID is there already", f"$.aids[{at}]")
            # A name may be right-truncated in SELECT (ISO/IEC 7816-4 §12.2): its beginning leads to it as well.
            simulator = SIMULATOR_AID.startswith(aid) or aid.startswith(SIMULATOR_AID)
            if simulator and self._document.origin != "simulated":
                raise self._wrong('this is the simulator\'s AID: the origin is "simulated"', f"$.aids[{at}]")
        return aids

    def _command(self, one: _Command, path: str) -> ProfileCommand:
        command = self._read(lambda: Command.parse(bytes.fromhex(one.apdu)), f"{path}.apdu")
        if one.blocks and (command.data or command.le is None):
            raise self._wrong("a command in blocks has Le and no data", f"{path}.apdu")
        if one.blocks and command.p1 & 0x80 and command.p1 & 0x60:
            raise self._wrong("P1 is neither an offset nor a short file identifier", f"{path}.apdu")
        return ProfileCommand(command, one.keep, one.blocks, _statuses(one.accept))

    def _assembly(self) -> Assembly:
        given = self._document.assembly
        if bool(given.path) != (given.form == "tlv"):
            raise self._wrong('path belongs to form = "tlv"', "$.assembly.path")
        if (given.bytes is not None) != (given.form == "length"):
            raise self._wrong('bytes belongs to form = "length"', "$.assembly.bytes")
        path = tuple(self._tag(one, f"$.assembly.path[{at}]") for at, one in enumerate(given.path))
        return Assembly(given.form, path, given.bytes or 0)

    def _tag(self, text: str, path: str) -> int:
        tag = bytes.fromhex(text)
        if len(tag) > 4:
            raise self._wrong("no such tag", path)
        # An object of that tag without content decodes only where the tag is well formed.
        found = self._read(lambda: tlv.parse(tag + b"\x00"), path)
        if [one.tag for one in found] != [int.from_bytes(tag, "big")]:
            raise self._wrong("no such tag", path)
        return found[0].tag

    def _read(self, parse: Callable[[], T], path: str) -> T:
        try:
            return parse()
        except MediumUnreadable as error:
            raise self._wrong(error.detail, path) from error

    def _wrong(self, reason: str, path: str) -> ConfigurationInvalid:
        return _invalid(reason, self._source, path)


def _statuses(words: tuple[str, ...]) -> frozenset[int]:
    return frozenset(int(one, 16) for one in words)
