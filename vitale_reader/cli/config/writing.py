"""The file of the settings, written only as one that the daemon would take."""

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitale_protocol.errors import ConfigurationInvalid
from vitale_reader.home import Home

if TYPE_CHECKING:
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

    document = tomlkit.parse(text)
    *tables, name = key.split(".")
    place: Any = document
    try:
        for table in tables:
            if table not in place:
                place[table] = tomlkit.table()
            place = place[table]
            if not isinstance(place, Container | AbstractTable):
                raise ConfigurationInvalid(f"{table} is no table", data={"path": key})
        place[name] = value
    except (TOMLKitError, TypeError, ValueError) as error:
        raise ConfigurationInvalid(str(error), data={"path": key}) from error
    return tomlkit.dumps(document)


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
