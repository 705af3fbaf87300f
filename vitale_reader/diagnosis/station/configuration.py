"""The configuration, checked as deep as the daemon does at its start; drivers check their own options (``devices``)."""

from collections.abc import Iterator

from vitale_protocol.diagnosis.check_results import CheckResult, of_error
from vitale_protocol.errors import ConfigurationInvalid, StoreUnavailable, ToolMissing
from vitale_protocol.extras import missing_part
from vitale_reader.daemon.config import Config, load, located, readable_by_others
from vitale_reader.home import Home

__all__ = ["check", "read"]


def read(home: Home) -> tuple[Config | None, tuple[CheckResult, ...]]:
    """The settings, or None where they cannot be read; and the rows about the file."""
    file = str(home.config)
    try:
        config = load(home.config)
        exposed = readable_by_others(home.config)
    except ConfigurationInvalid as error:
        return None, (of_error(error, "configuration", {"file": file}),)
    if exposed:
        return config, (
            CheckResult(id="configuration_readable", subject="configuration", state="note", values={"file": file}),
        )
    name = "configuration" if home.config.exists() else "configuration_default"
    return config, (CheckResult(id=name, subject="configuration", state="ok", values={"file": file}),)


def check(home: Home, config: Config) -> Iterator[CheckResult]:
    """Checks the settings against this machine, except those of drivers; nothing where the daemon is not installed."""
    if missing_part("daemon", "the daemon") is not None:
        return
    from vitale_reader.daemon import config_check  # noqa: PLC0415  part of an extra

    try:
        config_check.check_station(home, config)
    except ConfigurationInvalid as error:
        yield of_error(located(error, home.config), "configuration", {"file": str(home.config)})
    except ToolMissing as error:
        yield of_error(error, "part")
    except StoreUnavailable as error:
        yield of_error(error, "store")
