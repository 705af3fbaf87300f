"""Place of a command's station, and its configuration."""

from pathlib import Path
from typing import TYPE_CHECKING

from vitale_protocol.errors import LocalMisuse
from vitale_reader.cli.frame.language import t
from vitale_reader.home import Home

if TYPE_CHECKING:
    from vitale_reader.daemon.config import Config

__all__ = ["loaded", "of_site"]


def loaded(home: Path | None) -> "tuple[Home, Config]":
    """The folders and the settings of a station."""
    from vitale_reader.daemon.config import load

    place = Home.chosen(home)
    return place, load(place.config)


def of_site(home: Path | None) -> "tuple[Home, Config]":
    """The same, of a desk of a site.

    Raises:
        LocalMisuse: it is of none.
    """
    place, config = loaded(home)
    if config.store == "sqlite":
        raise LocalMisuse(t("ce poste n’est d’aucun site", "this desk is of no site"), data={"path": "store"})
    return place, config
