"""TOML files shipped here, by name, or those of a user, by path: card images, scenarios, profiles."""

from importlib import resources
from pathlib import Path

from vitale_protocol.errors import ConfigurationInvalid

__all__ = ["Shipped"]

# Generous for what is written by hand, small enough for a card's file of 32 KB.
_MOST_BYTES = 256 * 1024


class Shipped:
    """One folder of them.

    Args:
        folder: its name here.
        kind: of one file, with an article, for errors.
    """

    def __init__(self, folder: str, kind: str) -> None:
        self._folder = resources.files("vitale_firmware_sim") / folder
        self._kind = kind

    def names(self) -> tuple[str, ...]:
        """The names of those shipped, in order."""
        suffix = ".toml"
        return tuple(
            sorted(one.name.removesuffix(suffix) for one in self._folder.iterdir() if one.name.endswith(suffix))
        )

    def shipped(self, name: str) -> bytes:
        """The content of a shipped file.

        Raises:
            ConfigurationInvalid: there is none of this name; ``data`` has ``file``.
        """
        if name not in self.names():
            known, noun = ", ".join(self.names()), self._kind.split(maxsplit=1)[1]
            raise ConfigurationInvalid(f"no {noun} of this name; there are {known}", data={"file": name})
        return (self._folder / f"{name}.toml").read_bytes()

    def read(self, name: str) -> tuple[str, bytes]:
        """Name and content of a file.

        Args:
            name: the name of a shipped one, or a path, which ends in ``.toml``.

        Raises:
            ConfigurationInvalid: there is none, or it cannot be read; ``data`` has ``file``.
        """
        if not name.endswith(".toml"):
            return name, self.shipped(name)
        path = Path(name)
        try:
            with path.open("rb") as stream:
                content = stream.read(_MOST_BYTES + 1)
        except (OSError, ValueError) as error:
            # ValueError: a path with a NUL in it.
            raise ConfigurationInvalid(f"{self._kind} cannot be read", data={"file": name}) from error
        return path.stem, content

    def require_short(self, name: str, content: bytes) -> None:
        """Refuses what nobody has written by hand.

        Raises:
            ConfigurationInvalid: it is too long; ``data`` has ``file``.
        """
        if len(content) > _MOST_BYTES:
            raise ConfigurationInvalid(f"{self._kind} is too long", data={"file": name})
