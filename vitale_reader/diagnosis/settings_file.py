"""The file of the settings, written only as one that the daemon would take."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from vitale_protocol.errors import ConfigurationInvalid
from vitale_reader.daemon import config_file
from vitale_reader.daemon.config import Config, has_secrets, load, parse
from vitale_reader.home import Home

if TYPE_CHECKING:
    from tomlkit.container import Container
    from tomlkit.items import AbstractTable, Array

__all__ = ["Changed", "as_toml", "change", "checked", "current", "replace", "with_setting"]


class Changed(NamedTuple):
    """A file with one setting changed.

    Attributes:
        value: as the setting wants it.
        config: all settings then.
        differs: whether the text of the file did not say so before.
    """

    value: object
    config: Config
    differs: bool


def change(home: Home, key: str, word: str) -> Changed:
    """Changes one setting in the file; all else in it stays, comments too.

    Args:
        home: of the station.
        key: the setting, such as ``tls.port``.
        word: its value, as it is typed.

    Raises:
        ConfigurationInvalid, ToolMissing, StoreUnavailable: the daemon would not start with it, or would not before.
        OSError: the file cannot be written.
    """
    with config_file.reserved(home.config):
        load(home.config)  # what is wrong with it already is told with its line
        text = current(home.config)
        value, made, config = _made(home, text, key, word)
        replace(home.config, made, config)
    return Changed(value, config, made != text)


def _made(place: Home, text: str, key: str, word: str) -> tuple[object, str, Config]:
    """The value as the setting wants it, the text with it, and all settings then.

    Raises:
        ConfigurationInvalid, ToolMissing, StoreUnavailable: the daemon would not start with it.
    """
    refused: ConfigurationInvalid | None = None
    for value in _values(word):
        try:
            made = with_setting(text, key, value)
            parse(made, source=str(place.config))
        except ConfigurationInvalid as error:
            refused = refused or error
            continue
        try:
            return value, made, checked(place, made)
        except ConfigurationInvalid as error:
            if error.data.get("path") != key:  # another setting is wrong, and was before
                raise
            raise _not_set(error) from error
    if refused is None:
        raise AssertionError("there is always a value")
    raise _not_set(refused) from refused


def _not_set(refused: ConfigurationInvalid) -> ConfigurationInvalid:
    # The line would be one of a text that nobody sees.
    data = {name: each for name, each in refused.data.items() if name != "line"}
    return ConfigurationInvalid(refused.detail, variant=refused.variant or "not_set", data=data)


def _values(word: str) -> Iterator[object]:
    """The values that a word may stand for, the likeliest first."""
    value = as_toml(word)
    yield value
    if value != word:
        yield word  # a name like 42
    yield [each.strip() for each in word.split(",") if each.strip()]


def current(file: Path) -> str:
    """The text of the settings; empty where there is no file.

    Raises:
        ConfigurationInvalid: it cannot be read.
    """
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
    import tomlkit  # noqa: PLC0415  for those alone who change something
    from tomlkit.container import Container  # noqa: PLC0415
    from tomlkit.exceptions import TOMLKitError  # noqa: PLC0415
    from tomlkit.items import AbstractTable  # noqa: PLC0415

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
    """Puts a value into a table: a new one at its end, before the comments on what follows."""
    from tomlkit.items import Array, Comment, Table, Whitespace  # noqa: PLC0415

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
    """Changes a list entry by entry, keeping comments on those that stay; returns whether that was possible."""
    for place in reversed(range(len(array))):
        if array[place] not in wanted:
            del array[place]
    for place, entry in enumerate(wanted):
        if place >= len(array) or array[place] != entry:
            array.insert(place, entry)
    return list(array) == wanted


def checked(home: Home, text: str) -> Config:
    """The settings in a text, after every check that the start of the daemon makes.

    Raises:
        ConfigurationInvalid, ToolMissing, StoreUnavailable: the daemon would not start with them.
    """
    from vitale_reader.daemon import config_check  # noqa: PLC0415  part of an extra

    config = parse(text, source=str(home.config))
    config_check.check(home, config)
    return config


def replace(file: Path, text: str, config: Config) -> None:
    """Writes the file of settings that were checked.

    Raises:
        OSError: it cannot be written.
    """
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
