"""The profiles shipped here, by name: how the phone that is simulated here is read."""

from vitale_firmware_sim.shipped import Shipped

__all__ = ["profile_text"]

_SHIPPED = Shipped("profiles", "the profile")


def profile_text(name: str) -> str:
    """The TOML of a shipped profile.

    Raises:
        ConfigurationInvalid: there is none of this name; ``data`` has ``file``.
    """
    return _SHIPPED.shipped(name).decode()
