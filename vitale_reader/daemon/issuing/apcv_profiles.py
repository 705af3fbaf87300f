"""The profiles of the configuration: read and checked at start, and handed to the drivers that read phones."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from vitale_protocol.errors import ConfigurationInvalid
from vitale_protocol.methods import StationMode
from vitale_protocol.records import Origin

if TYPE_CHECKING:
    from vitale_protocol.media.apcv_profile import Profile

__all__ = ["DRIVERS", "Profiles", "read_profiles"]

#: The drivers that read phones by profiles, as their option ``profiles``.
DRIVERS = ("nfc", "pcsc")

_MOST_BYTES = 65_536


class Profiles(msgspec.Struct, frozen=True):
    """The profiles of a station; ``texts`` are their TOML."""

    texts: tuple[str, ...] = ()
    parsed: "tuple[Profile, ...]" = ()

    @property
    def origins(self) -> dict[bytes, Origin]:
        """Origin of each profile, by its label."""
        return {profile.label.encode(): profile.origin for profile in self.parsed}

    def options(self, driver: str, options: Mapping[str, object]) -> Mapping[str, object]:
        """A driver's options, with the profiles where it reads phones.

        Raises:
            ConfigurationInvalid: the driver's own table has profiles, which would not have been checked.
        """
        if driver not in DRIVERS:
            return options
        if "profiles" in options:
            raise ConfigurationInvalid(
                "profiles are told in [apcv]", data={"path": f"drivers.options.{driver}.profiles"}
            )
        return {**options, "profiles": [*self.texts]} if self.texts else options


def read_profiles(names: Sequence[str], mode: StationMode) -> Profiles:
    """Reads profiles.

    Args:
        names: paths of files, which end in ``.toml``, or names of the simulator's own.
        mode: the station's; in production only profiles of production are taken, in test none of a simulator.

    Raises:
        ConfigurationInvalid: a profile cannot be read or used, or not in this mode; ``data.file`` names it.
    """
    if not names:
        return Profiles()
    from vitale_protocol.media.apcv_profile import parse_profile  # noqa: PLC0415  not needed at desks without phones

    texts = tuple(_text(name) for name in names)
    parsed = tuple(parse_profile(text, source=name) for name, text in zip(names, texts, strict=True))
    for name, profile in zip(names, parsed, strict=True):
        simulated = profile.origin == "simulated" and mode != "simulated"
        if simulated or (mode == "production" and profile.origin != "production"):
            raise ConfigurationInvalid(
                f"a profile of origin {profile.origin}, and the station is in mode {mode}",
                data={"path": "apcv.profiles", "file": name},
            )
    labels = [profile.label for profile in parsed]
    if len(set(labels)) < len(labels):
        raise ConfigurationInvalid("two profiles have the same name and version", data={"path": "apcv.profiles"})
    return Profiles(texts, parsed)


def _text(name: str) -> str:
    if not name.endswith(".toml"):
        from vitale_firmware_sim.phone.profiles import profile_text  # noqa: PLC0415  not needed in production

        return profile_text(name)
    try:
        with Path(name).open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ConfigurationInvalid("the profile is too long", data={"path": "apcv.profiles", "file": name})
        return content.decode()
    except (OSError, ValueError) as error:  # UnicodeDecodeError; a path with a NUL in it
        raise ConfigurationInvalid(
            "the profile cannot be read", data={"path": "apcv.profiles", "file": name}
        ) from error
