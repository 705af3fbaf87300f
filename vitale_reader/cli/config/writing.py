"""The file of the settings, written only as one that the daemon would take."""

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitale_protocol.errors import ConfigurationInvalid
from vitale_reader.home import Home

if TYPE_CHECKING:
    from tomlkit.container import Container
    from tomlkit.items import AbstractTable, Array

    from vitale_reader.daemon.config import Config

__all__ = ["as_toml", "checked", "current", "replace", "with_setting"]


def current(file: Path) -> str:
    """The text of the settings; empty where there is no file.

    Raises:
        ConfigurationInvalid: it cannot be read.
    """
    from vitale_reader.daemon import config_file

    try:
        return config_file.decoded(config_file.read(file)[0], file)
    except FileNotFoundError:
        return ""


def with_setting(text: str, key: str, value: object) -> str:
    """The text with one setting changed or added; all else in it stays as it was, comments too.

    Args:
        text: TOML that has been read without a fault.
        key: the setting, such as ``tls.port``.
        value: as TOML has it.

    Raises:
        ConfigurationInvalid: the key names a value within one that is no table.
    """
    import tomlkit
    from tomlkit.container import Container
    from tomlkit.exceptions import TOMLKitError
    from tomlkit.items import AbstractTable

    # Windows ends lines with two characters. A file keeps one way throughout.
    end = "\r\n" if "\r\n" in text else "\n"
    document = tomlkit.parse(text.replace("\r\n", "\n"))
    *tables, name = key.split(".")
    place: Any = document
    try:
        for table in tables:
            if table not in place:
                place[table] = tomlkit.table()
            place = place[table]
            if not isinstance(place, Container | AbstractTable):
                raise ConfigurationInvalid(f"{table} is no table", data={"path": key})
        _put(place, name, value)
    except (TOMLKitError, TypeError, ValueError) as error:
        raise ConfigurationInvalid(str(error), data={"path": key}) from error
    return tomlkit.dumps(document).replace("\n", end)


def _put(table: "Container | AbstractTable", name: str, value: object) -> None:
    """Puts a value into a table: a new one behind those of the table, before the comments on what follows it."""
    from tomlkit.items import Array, Comment, Table, Whitespace

    if name in table:
        former: object = table[name]
        if not (isinstance(former, Array) and isinstance(value, list) and _edited(former, [*value])):
            table[name] = value
        return
    body = table.value.body if isinstance(table, Table) else []
    begin = len(body)
    while begin and body[begin - 1][0] is None and isinstance(body[begin - 1][1], Comment | Whitespace):
        begin -= 1
    behind = body[begin:]
    del body[begin:]
    table[name] = value
    body.extend(behind)


def _edited(array: "Array", wanted: list[Any]) -> bool:
    """Changes a list to what is wanted, entry by entry: comments on those that stay are kept; whether it could be."""
    for place in reversed(range(len(array))):
        if array[place] not in wanted:
            del array[place]
    for place, entry in enumerate(wanted):
        if place >= len(array) or array[place] != entry:
            array.insert(place, entry)
    return list(array) == wanted


def checked(home: Home, text: str) -> "Config":
    """The settings in a text, after every check that the start of the daemon makes.

    Raises:
        ConfigurationInvalid, ToolMissing, StoreUnavailable: the daemon would not start with them.
    """
    from vitale_reader.daemon import startup
    from vitale_reader.daemon.config import parse

    config = parse(text, source=str(home.config))
    startup.check(home, config)
    return config


def replace(file: Path, text: str, config: "Config") -> None:
    """Writes the file of settings that were checked.

    Raises:
        OSError: it cannot be written.
    """
    from vitale_reader.daemon import config_file
    from vitale_reader.daemon.config import has_secrets

    config_file.replace(file, text, secret=has_secrets(config))


def as_toml(word: str) -> object:
    """A word of the command line as a value of TOML; the word itself where it is none.

    ``true``, ``7816`` and ``["pcsc", "camera"]`` need no quotation marks, nor does a name.
    """
    try:
        told = tomllib.loads(f"value = {word}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return word
    return told["value"] if len(told) == 1 else word
