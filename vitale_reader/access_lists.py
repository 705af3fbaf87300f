"""Windows access lists: the rights of others on a file or a folder, and a list that grants none.

Lists are read and written as text, in the Security Descriptor Definition Language ([MS-DTYP] 2.5.1.1). This user, the
system and administrators are trusted, as root is elsewhere.
"""

import ctypes
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

__all__ = ["CHANGE", "PUT", "READ", "AccessEntry", "SecurityDescriptor", "parse", "private_list"]

#: Rights by their two letters ([MS-DTYP] 2.5.1.1, with the values of winnt.h).
_RIGHTS = {
    "GA": 0x1000_0000,
    "GX": 0x2000_0000,
    "GW": 0x4000_0000,
    "GR": 0x8000_0000,
    "RC": 0x0002_0000,
    "SD": 0x0001_0000,
    "WD": 0x0004_0000,
    "WO": 0x0008_0000,
    "CC": 0x01,
    "DC": 0x02,
    "LC": 0x04,
    "SW": 0x08,
    "RP": 0x10,
    "WP": 0x20,
    "DT": 0x40,
    "LO": 0x80,
    "CR": 0x100,
    "FA": 0x1F_01FF,
    "FR": 0x12_0089,
    "FW": 0x12_0116,
    "FX": 0x12_00A0,
}

READ = 0x01 | _RIGHTS["GR"] | _RIGHTS["GA"]
"""FILE_READ_DATA of a file, and what includes it."""

CHANGE = 0x02 | 0x04 | _RIGHTS["SD"] | _RIGHTS["WD"] | _RIGHTS["WO"] | _RIGHTS["GW"] | _RIGHTS["GA"]
"""FILE_WRITE_DATA and FILE_APPEND_DATA, DELETE, WRITE_DAC, WRITE_OWNER, and what includes them."""

PUT = 0x02 | 0x40 | _RIGHTS["WD"] | _RIGHTS["WO"] | _RIGHTS["GW"] | _RIGHTS["GA"]
"""FILE_ADD_FILE and FILE_DELETE_CHILD of a folder: to put another file in the place of one."""

#: The system, administrators, whoever owns a thing, and whoever made it: trusted if the owner is.
_TRUSTED = frozenset({"SY", "BA", "OW", "CO", "S-1-5-18", "S-1-5-32-544", "S-1-3-4", "S-1-3-0"})
_OWNERS = frozenset({"SY", "BA", "S-1-5-18", "S-1-5-32-544"})

#: Everyone, for whom a list that is not there stands.
_EVERYONE = "WD"

#: Types of entries that allow something.
_ALLOWING = frozenset({"A", "OA", "XA", "ZA"})

#: A part begins with its letter; the text of an owner ends where the next part begins.
_OWNER = re.compile(r"O:(?P<owner>S-[0-9-]+|[A-Z]{2})")
_LIST = re.compile(r"D:(?P<flags>[A-Z_]*)(?P<entries>(?:\([^()]*(?:\([^()]*\)[^()]*)*\))*)")
_ENTRY = re.compile(r"\((?P<fields>[^()]*(?:\([^()]*\)[^()]*)*)\)")


class AccessEntry(msgspec.Struct, frozen=True):
    """Entry of a list that allows something: whom, and which rights as bits."""

    trustee: str
    rights: int


class SecurityDescriptor(msgspec.Struct, frozen=True, kw_only=True):
    """Owner of a thing, and those entries of its list that allow something.

    Attributes:
        owner: SID, or the two letters of a known one.
        entries: of the list; all rights for everyone where there is none.
    """

    owner: str
    entries: tuple[AccessEntry, ...]

    def is_foreign(self, me: str) -> bool:
        """True if neither this user nor the system or administrators own it."""
        return self.owner not in {me, *_OWNERS}

    def others(self, me: str, rights: int = 0xFFFF_FFFF) -> tuple[str, ...]:
        """Whoever else has one of the rights, as the list names them.

        Args:
            me: this user, as lists name it.
            rights: any of these bits.
        """
        trusted = {me, *_TRUSTED}
        return tuple(
            dict.fromkeys(
                entry.trustee for entry in self.entries if entry.trustee not in trusted and entry.rights & rights
            )
        )


def parse(text: str) -> SecurityDescriptor:
    """A descriptor from its text.

    Raises:
        ValueError: it is none.
    """
    owner, found = _OWNER.search(text), _LIST.search(text)
    if owner is None:
        raise ValueError("a security descriptor without an owner")
    if found is None or "NO_ACCESS_CONTROL" in found["flags"]:
        return SecurityDescriptor(owner=owner["owner"], entries=(AccessEntry(_EVERYONE, _RIGHTS["GA"]),))
    return SecurityDescriptor(owner=owner["owner"], entries=tuple(_allowing(found["entries"])))


def _allowing(entries: str) -> Iterator[AccessEntry]:
    for found in _ENTRY.finditer(entries):
        kind, _, rights, _, _, trustee, *_ = found["fields"].split(";")
        if kind in _ALLOWING:
            yield AccessEntry(trustee, _mask(rights))


def _mask(rights: str) -> int:
    if rights.startswith("0x"):
        return int(rights, 16)
    if len(rights) % 2 or not all(rights[at : at + 2] in _RIGHTS for at in range(0, len(rights), 2)):
        raise ValueError("rights that are not known")
    mask = 0
    for at in range(0, len(rights), 2):
        mask |= _RIGHTS[rights[at : at + 2]]
    return mask


def private_list(me: str, *, folder: bool) -> str:
    """A list that nothing is inherited into, for this user, the system and administrators.

    Args:
        me: this user's SID.
        folder: whether what is made in it inherits the list.
    """
    flags = "OICI" if folder else ""
    return "D:P" + "".join(f"(A;{flags};FA;;;{trustee})" for trustee in (me, "SY", "BA"))


if sys.platform == "win32":
    # winnt.h, accctrl.h, sddl.h
    FILE_OBJECT = 1
    OWNER, DACL, PROTECTED_DACL = 0x1, 0x4, 0x8000_0000
    REVISION = 1
    TOKEN_QUERY, TOKEN_USER = 0x8, 1

    _Pointer = ctypes.c_void_p

    class _Api:
        """The functions of ``advapi32`` and ``kernel32``, declared once."""

        def __init__(self) -> None:
            pointer, text, number = _Pointer, ctypes.c_wchar_p, ctypes.c_uint32
            out = ctypes.POINTER
            declared = {
                "ConvertSecurityDescriptorToStringSecurityDescriptorW": (pointer, number, number, out(text), pointer),
                "ConvertSidToStringSidW": (pointer, out(text)),
                "ConvertStringSecurityDescriptorToSecurityDescriptorW": (text, number, out(pointer), pointer),
                "GetNamedSecurityInfoW": (text, number, number, *(pointer,) * 4, out(pointer)),
                "GetSecurityDescriptorDacl": (pointer, out(number), out(pointer), out(number)),
                "GetTokenInformation": (pointer, number, pointer, number, out(number)),
                "OpenProcessToken": (pointer, number, out(pointer)),
                "SetNamedSecurityInfoW": (text, number, number, *(pointer,) * 4),
            }
            self.advapi = ctypes.WinDLL("advapi32", use_last_error=True)
            for name, arguments in declared.items():
                getattr(self.advapi, name).argtypes = arguments
            self.kernel = ctypes.WinDLL("kernel32", use_last_error=True)
            for name in ("GetCurrentProcess", "LocalFree"):
                getattr(self.kernel, name).restype = pointer
            self.kernel.LocalFree.argtypes = self.kernel.CloseHandle.argtypes = (pointer,)

        def require(self, done: int) -> None:
            """Raises the last error where a function says that it did nothing."""
            if not done:
                raise ctypes.WinError(ctypes.get_last_error())

        def text(self, descriptor: _Pointer) -> str:
            """Owner and list of a descriptor."""
            found = ctypes.c_wchar_p()
            self.require(
                self.advapi.ConvertSecurityDescriptorToStringSecurityDescriptorW(
                    descriptor, REVISION, OWNER | DACL, ctypes.byref(found), None
                )
            )
            try:
                return found.value or ""
            finally:
                self.kernel.LocalFree(ctypes.cast(found, _Pointer))

        def descriptor(self, text: str) -> _Pointer:
            """A descriptor from its text; the caller frees it."""
            made = _Pointer()
            self.require(
                self.advapi.ConvertStringSecurityDescriptorToSecurityDescriptorW(
                    text, REVISION, ctypes.byref(made), None
                )
            )
            return made

        def own_sid(self) -> str:
            """SID of the user of this process."""
            token, size = _Pointer(), ctypes.c_uint32()
            self.require(
                self.advapi.OpenProcessToken(
                    _Pointer(self.kernel.GetCurrentProcess()), TOKEN_QUERY, ctypes.byref(token)
                )
            )
            try:
                self.advapi.GetTokenInformation(token, TOKEN_USER, None, 0, ctypes.byref(size))
                user = ctypes.create_string_buffer(size.value)
                self.require(self.advapi.GetTokenInformation(token, TOKEN_USER, user, size.value, ctypes.byref(size)))
                # TOKEN_USER begins with the pointer of its SID_AND_ATTRIBUTES.
                sid, found = _Pointer.from_buffer(user), ctypes.c_wchar_p()
                self.require(self.advapi.ConvertSidToStringSidW(sid, ctypes.byref(found)))
                try:
                    return found.value or ""
                finally:
                    self.kernel.LocalFree(ctypes.cast(found, _Pointer))
            finally:
                self.kernel.CloseHandle(token)

    def this_user() -> tuple[str, str]:
        """This user's SID, and how lists name it: known accounts have two letters there.

        Raises:
            OSError: the system does not tell.
        """
        api = _Api()
        sid = api.own_sid()
        descriptor = api.descriptor(f"O:{sid}")
        try:
            return sid, parse(api.text(descriptor)).owner
        finally:
            api.kernel.LocalFree(descriptor)

    def look(file: Path) -> SecurityDescriptor:
        """Reads owner and list of a file or a folder.

        Raises:
            OSError: it cannot be looked at.
        """
        api, descriptor = _Api(), _Pointer()
        code = api.advapi.GetNamedSecurityInfoW(
            str(file), FILE_OBJECT, OWNER | DACL, None, None, None, None, ctypes.byref(descriptor)
        )
        if code:
            raise ctypes.WinError(code)
        try:
            return parse(api.text(descriptor))
        except ValueError as error:
            raise OSError(f"{file}: {error}") from error
        finally:
            api.kernel.LocalFree(descriptor)

    def close_to_others(file: Path) -> None:
        """Gives a file or a folder, and what inherits from it, the list that lets nobody else.

        Raises:
            OSError: it cannot be given.
        """
        api = _Api()
        descriptor = api.descriptor(private_list(this_user()[0], folder=file.is_dir()))
        try:
            there, given, dacl = ctypes.c_uint32(), ctypes.c_uint32(), _Pointer()
            api.require(
                api.advapi.GetSecurityDescriptorDacl(
                    descriptor, ctypes.byref(there), ctypes.byref(dacl), ctypes.byref(given)
                )
            )
            code = api.advapi.SetNamedSecurityInfoW(
                str(file), FILE_OBJECT, DACL | PROTECTED_DACL, None, None, dacl, None
            )
            if code:
                raise ctypes.WinError(code)
        finally:
            api.kernel.LocalFree(descriptor)
