"""Profiles and formats of this site's apCVs, as configured: checked at start, and handed to drivers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from vitale_protocol.configuration.settings import refusal
from vitale_protocol.errors import ConfigurationInvalid
from vitale_protocol.methods import StationMode
from vitale_protocol.records import Origin
from vitale_reader.regular_files import open_regular

if TYPE_CHECKING:
    from vitale_protocol.media.apcv_profile import Profile

__all__ = ["DRIVERS", "OPTICAL", "Profiles", "read_profiles"]

#: The drivers that read phones by profiles, as their option ``profiles``.
DRIVERS = ("nfc", "pcsc")

#: The drivers that see codes, which get the formats of this site's as their option ``apcv_formats``.
OPTICAL = ("camera", "scanner")

_MOST_BYTES = 65_536


class Profiles(msgspec.Struct, frozen=True):
    """The profiles of a station, ``texts`` being their TOML, and the published formats of its apCVs."""

    texts: tuple[str, ...] = ()
    parsed: "tuple[Profile, ...]" = ()
    formats: tuple[str, ...] = ()

    @property
    def origins(self) -> dict[bytes, Origin]:
        """Origin of each profile, by its label."""
        return {profile.label.encode(): profile.origin for profile in self.parsed}

    def options(self, driver: str, options: Mapping[str, object]) -> Mapping[str, object]:
        """A driver's options, with the profiles where it reads phones, and the formats where it sees codes.

        Raises:
            ConfigurationInvalid: the driver's own table has profiles or formats, which would not have been checked.
        """
        if driver in DRIVERS:
            return _with(driver, options, "profiles", self.texts)
        return _with(driver, options, "apcv_formats", self.formats) if driver in OPTICAL else options


def _with(driver: str, options: Mapping[str, object], name: str, told: tuple[str, ...]) -> Mapping[str, object]:
    if name in options:
        raise ConfigurationInvalid(f"{name} are told in [apcv]", data={"path": f"drivers.options.{driver}.{name}"})
    return {**options, name: [*told]} if told else options


def read_profiles(names: Sequence[str], mode: StationMode, formats: Sequence[str] = ()) -> Profiles:
    """Reads profiles.

    Args:
        names: paths of files, which end in ``.toml``, or names of the simulator's own.
        mode: the station's; in production only profiles of production are taken, in test none of a simulator.
        formats: the published formats of this site's apCVs.

    Raises:
        ConfigurationInvalid: a profile cannot be read or used, or not in this mode; ``data.file`` names it. Or nobody
            has published such a format.
    """
    _require_published(formats)
    if not names:
        return Profiles(formats=tuple(formats))
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
    return Profiles(texts, parsed, tuple(formats))


def _require_published(formats: Sequence[str]) -> None:
    if not formats:
        return
    from vitale_protocol.media.public_formats import FORMAT_NAMES  # noqa: PLC0415  needed by few desks

    for name in formats:
        if name not in FORMAT_NAMES:
            raise refusal("apcv.formats", "there is no such format", name, FORMAT_NAMES)


def _text(name: str) -> str:
    if not name.endswith(".toml"):
        from vitale_firmware_sim.phone.profiles import profile_text  # noqa: PLC0415  not needed in production

        return profile_text(name)
    try:
        with open_regular(Path(name)) as stream:
            content = stream.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ConfigurationInvalid("the profile is too long", data={"path": "apcv.profiles", "file": name})
        return content.decode()
    except (OSError, ValueError) as error:  # UnicodeDecodeError; a path with a NUL in it
        raise ConfigurationInvalid(
            "the profile cannot be read", data={"path": "apcv.profiles", "file": name}
        ) from error
