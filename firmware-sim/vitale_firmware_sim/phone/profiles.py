"""The profiles shipped here, by name: how the phone that is simulated here is read."""

from importlib import resources

from vitale_protocol.errors import ConfigurationInvalid

__all__ = ["profile_names", "profile_text"]

_SHIPPED = resources.files("vitale_firmware_sim") / "profiles"


def profile_names() -> tuple[str, ...]:
    """The names of the profiles shipped here, in order."""
    return tuple(sorted(one.name.removesuffix(".toml") for one in _SHIPPED.iterdir() if one.name.endswith(".toml")))


def profile_text(name: str) -> str:
    """The TOML of a shipped profile.

    Raises:
        ConfigurationInvalid: there is none of this name; ``data`` has ``file``.
    """
    if name not in profile_names():
        known = ", ".join(profile_names())
        raise ConfigurationInvalid(f"no profile of this name; there are {known}", data={"file": name})
    return (_SHIPPED / f"{name}.toml").read_text("utf-8")
