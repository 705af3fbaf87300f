"""The checks of a configuration against this machine: made by the daemon at its start, and by ``config check``."""

import asyncio

from vitale_reader.daemon.audit_export import destinations
from vitale_reader.daemon.config import Config
from vitale_reader.daemon.issuing.apcv_profiles import Profiles, read_profiles
from vitale_reader.daemon.issuing.trusted_signers import read_trust_list
from vitale_reader.daemon.keystore import keyring_secrets
from vitale_reader.daemon.site import open_store
from vitale_reader.daemon.transports import listening
from vitale_reader.daemon.workers.questions import Options, check_options
from vitale_reader.daemon.workers.supervisor import require_known_tables
from vitale_reader.home import Home
from vitale_reader.resolvers.registry import load_resolver

__all__ = ["check", "check_station", "driver_options", "read_own_profiles"]

#: Seconds in which a driver has to check its options; it imports its libraries first.
DRIVER_LIMIT = 30.0


def check(home: Home, config: Config) -> None:
    """Makes every check that the daemon makes at its start, in the same order.

    Nothing is opened, made or listened to.

    Raises:
        ConfigurationInvalid: a setting cannot be used on this machine.
        ToolMissing: a setting needs something that is not installed.
        StoreUnavailable: the keyring cannot be used.
    """
    check_station(home, config)
    _check_drivers(config, read_own_profiles(config))


def check_station(home: Home, config: Config) -> None:
    """Makes the checks that concern no driver.

    Raises:
        ConfigurationInvalid, ToolMissing, StoreUnavailable: as ``check``.
    """
    open_store.check(home, config)
    if config.keys.keyring:
        keyring_secrets.require_keyring()
    driver_options(config, read_own_profiles(config))
    read_trust_list(config.seals.trust_list)
    asyncio.run(_check_resolver(config))
    destinations(config.audit.export, config.audit.options)
    require_known_tables(config.drivers.enabled, config.drivers.options)
    listening.check(home, config)


def read_own_profiles(config: Config) -> Profiles:
    """The profiles and formats that the configuration names.

    Raises:
        ConfigurationInvalid: one of them cannot be used.
    """
    return read_profiles(config.apcv.profiles, config.station.mode, config.apcv.formats)


def driver_options(config: Config, profiles: Profiles) -> dict[str, Options]:
    """The options of each driver that is enabled, as its process gets them."""
    return {name: profiles.options(name, config.drivers.options.get(name, {})) for name in config.drivers.enabled}


async def _check_resolver(config: Config) -> None:
    resolver = load_resolver(config.apcv.resolver)(config.apcv.options, config.station.mode)
    await resolver.open()
    await resolver.close()


def _check_drivers(config: Config, profiles: Profiles) -> None:
    """Asks each driver in its own process, all at once; raises the first refusal in the file's order."""
    for refused in check_options(driver_options(config, profiles), DRIVER_LIMIT):
        if refused is not None:
            raise refused
