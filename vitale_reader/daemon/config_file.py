"""The settings file: its encoding, the lines of settings, and who else may read or change it.

| who may, besides its owner and root | with secrets in it | without |
|---|---|---|
| change the file, or put another in its place | refused | refused |
| read it | refused | told (``config check``, ``doctor``) |
"""

import os
import re
import stat
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import msgspec

from vitale_protocol.errors import ConfigurationInvalid
from vitale_reader.atomic_files import write_atomically
from vitale_reader.regular_files import open_regular

__all__ = [
    "FileAccess",
    "command_to_close",
    "decoded",
    "line_of",
    "read",
    "readable_by_others",
    "replace",
    "reserved",
    "set_aside",
]

_UTF_16 = (b"\xff\xfe", b"\xfe\xff")

_TABLE = re.compile(r"\s*\[{1,2}(?P<name>[^\[\]]+)\]{1,2}")
_SETTING = re.compile(r"\s*(?P<name>[A-Za-z0-9_.\"' -]+?)\s*=")
_LINE = re.compile(r"at line (\d+)")
_INDEX = re.compile(r"\[[^\]]*\]")

#: Bytes of a file of settings; the longest that a site needs has some thousands.
MOST_BYTES = 1_048_576

#: Seconds to wait for whoever else changes the settings: they are checked meanwhile, with what drivers say of them.
PATIENCE = 30.0
BETWEEN_TRIES = 0.02


class FileAccess(msgspec.Struct, frozen=True, kw_only=True):
    """Access of others to a file of settings, besides its owner and root.

    Attributes:
        file: the file.
        foreign: whether its owner is neither this user nor root.
        readable: whether others may read it.
        writable: whether others may change it.
        replaceable: whether others may put another file in its place.
    """

    file: str
    foreign: bool
    readable: bool
    writable: bool
    replaceable: bool

    def require(self, *, secrets: bool) -> None:
        """Refuses what others may change, and what they may read where it holds secrets.

        Raises:
            ConfigurationInvalid: they may.
        """
        if how := self._changed_by_others():
            raise ConfigurationInvalid(how, variant="writable_by_others", data={"file": self.file, "path": "$"})
        if secrets and self.readable:
            how = f"others may read the file: {command_to_close(Path(self.file))}"
            raise ConfigurationInvalid(how, variant="secrets_readable", data={"file": self.file, "path": "$"})

    def _changed_by_others(self) -> str:
        """Way in which others may change the settings, and the command that ends it; empty where they may not."""
        file = Path(self.file)
        if self.foreign:
            return f"another user owns the file: {_command_to_own(file)}"
        if self.writable:
            return f"others may write to the file: {_command_to_keep(file)}"
        if self.replaceable:
            return f"others may write to its folder: {_command_to_keep(file.parent)}"
        return ""


def read(file: Path) -> tuple[bytes, FileAccess]:
    """The bytes of a file, and who may do what with it.

    Raises:
        FileNotFoundError: there is none.
        ConfigurationInvalid: it cannot be read, or is too large.
    """
    if file.is_symlink() and not file.exists():
        detail = f"a link to {file.readlink()}, where nothing is"
        raise ConfigurationInvalid(detail, variant="unreadable", data={"file": str(file)})
    try:
        with open_regular(file) as stream:
            access = _access(file, os.fstat(stream.fileno()))
            content = stream.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        detail = error.strerror or type(error).__name__
        raise ConfigurationInvalid(detail, variant="unreadable", data={"file": str(file)}) from error
    if len(content) > MOST_BYTES:
        raise ConfigurationInvalid("the file is too large", data={"file": str(file)})
    return content, access


def readable_by_others(file: Path) -> bool:
    """True if other users may read the file, if there is one.

    Raises:
        ConfigurationInvalid: it cannot be read.
    """
    try:
        return read(file)[1].readable
    except FileNotFoundError:
        return False


def replace(file: Path, text: str, *, secret: bool) -> None:
    """Writes the file, whole or not at all.

    Its owner and its group stay as before. So do the rights of others, unless there are secrets in it now. A first one
    that root writes, as with ``sudo -E``, belongs to whom the folder belongs.

    Raises:
        OSError: it cannot be written.
    """
    file = file.resolve()  # where a link leads: the link stays one
    above = _made(file.parent)
    former = file.stat() if file.exists() else None
    mode = 0o600 if former is None or secret else stat.S_IMODE(former.st_mode) & 0o777
    write_atomically(file, text.encode("utf-8"), owner=former or above, mode=mode)


@contextmanager
def reserved(file: Path) -> Generator[None]:
    """Keeps other commands from changing the file meanwhile: of two at once the second builds upon the first.

    Raises:
        ConfigurationInvalid: somebody has changed it for too long.
        OSError: its folder cannot be made, or not read.
    """
    folder = file.resolve().parent
    _made(folder)
    until = monotonic() + PATIENCE
    while (kept := _taken(folder)) is None:
        if monotonic() > until:
            data = {"file": str(file), "path": "$"}
            raise ConfigurationInvalid("another command is changing the file", variant="changing", data=data)
        threading.Event().wait(BETWEEN_TRIES)
    try:
        yield
    finally:
        os.close(kept)


def set_aside(file: Path) -> None:
    """Keeps a copy of the file beside it, as ``.old``, for its owner alone.

    Raises:
        OSError: it cannot be read, or the copy not written.
    """
    write_atomically(file.with_name(f"{file.name}.old"), file.read_bytes())


def decoded(content: bytes, file: Path) -> str:
    """The text: UTF-8, with or without the byte order mark that editors of Windows put before it.

    Raises:
        ConfigurationInvalid: it is in another encoding.
    """
    data = {"file": str(file), "path": "$"}
    # Text of UTF-16 has a NUL beside every ASCII character, and TOML has none anywhere.
    if content.startswith(_UTF_16) or b"\0" in content:
        raise ConfigurationInvalid("the file is in UTF-16, not in UTF-8", variant="encoding", data=data)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        detail = f"line {line} is not in UTF-8"
        # Not chained: the text of the error repeats bytes of the file.
        raise ConfigurationInvalid(detail, variant="encoding", data=data | {"line": line}) from None


def line_of(text: str, path: str) -> int | None:
    """The line on which a setting stands, or the table in which it would; None where neither is there.

    Args:
        text: the TOML text.
        path: the setting, such as ``drivers.options.scanner.framing``; or an error of the TOML parser with its line.
    """
    if told := _LINE.search(path):
        return int(told[1])
    wanted = _plain(path)
    best: tuple[int, int] | None = None
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if found := _TABLE.match(line):
            table = place = _plain(found["name"])
        elif found := _SETTING.match(line):
            place = ".".join(filter(None, (table, _plain(found["name"]))))
        else:
            continue
        if wanted == place or wanted.startswith(f"{place}."):
            best = max(best or (0, 0), (len(place), -number))
    return None if best is None else -best[1]


def _plain(name: str) -> str:
    """A key without quotation marks, blanks and indices."""
    bare = (part.strip().strip("\"'") for part in _INDEX.sub("", name).split("."))
    return ".".join(bare)


if sys.platform == "win32":
    from vitale_reader import access_lists

    def _made(folder: Path) -> os.stat_result | None:
        """Makes a folder; its access list says whose the files are."""
        folder.mkdir(parents=True, exist_ok=True)
        return None

    def _taken(folder: Path) -> int | None:
        """Descriptor of a file that goes when closed, however the process ends; None if it exists already."""
        only = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_TEMPORARY | os.O_NOINHERIT
        try:
            return os.open(folder / ".config.toml.changing", only)
        except (FileExistsError, PermissionError):  # there, or about to go
            return None

    def _access(file: Path, found: os.stat_result) -> FileAccess:  # noqa: ARG001
        """By the access lists of the file and of its folder."""
        me = access_lists.this_user()[1]
        own, folder = access_lists.look(file), access_lists.look(file.resolve().parent)
        return FileAccess(
            file=str(file),
            foreign=own.is_foreign(me),
            readable=bool(own.others(me, access_lists.READ)),
            writable=bool(own.others(me, access_lists.CHANGE)),
            replaceable=folder.is_foreign(me) or bool(folder.others(me, access_lists.PUT)),
        )

    def command_to_close(file: Path) -> str:
        """The command that closes a file or a folder to others."""
        return _command_to_keep(file)

    def _command_to_own(file: Path) -> str:
        return f'icacls "{file}" /setowner *{access_lists.this_user()[0]}'

    def _command_to_keep(file: Path) -> str:
        rights = "(OI)(CI)F" if file.is_dir() else "F"
        trustees = (access_lists.this_user()[0], "S-1-5-18", "S-1-5-32-544")
        granted = " ".join(f"*{trustee}:{rights}" for trustee in trustees)
        return f'icacls "{file}" /inheritance:r /grant:r {granted}'

else:
    import fcntl

    def _taken(folder: Path) -> int | None:
        """A descriptor of the folder with its lock: it leaves no file behind. None while another has it."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:  # a network file system may lock files only: as good as can be had there
            return descriptor
        return descriptor

    def _made(folder: Path) -> os.stat_result | None:
        """Makes a folder, for the user whose folder it is made in; that user, where root writes for another."""
        if not folder.is_dir():
            above = _made(folder.parent)
            folder.mkdir(exist_ok=True, mode=0o700)
            if above is not None:
                os.chown(folder, above.st_uid, above.st_gid, follow_symlinks=False)
        found = folder.stat()
        return found if os.geteuid() == 0 and found.st_uid else None

    def command_to_close(file: Path) -> str:
        """The command that closes a file or a folder to others."""
        return f"chmod {'700' if file.is_dir() else '600'} {file}"

    def _command_to_own(file: Path) -> str:
        return f"chown root {file}"

    def _command_to_keep(file: Path) -> str:
        return f"chmod go-w {file}"

    def _access(file: Path, found: os.stat_result) -> FileAccess:
        folder = file.resolve().parent.stat()
        shared = bool(folder.st_mode & (stat.S_IWGRP | stat.S_IWOTH)) and not folder.st_mode & stat.S_ISVTX
        trusted = (0, os.geteuid())
        return FileAccess(
            file=str(file),
            foreign=found.st_uid not in trusted,
            readable=bool(found.st_mode & (stat.S_IRGRP | stat.S_IROTH)),
            writable=bool(found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)),
            replaceable=shared or folder.st_uid not in trusted,
        )
