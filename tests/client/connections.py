"""Connections that are patient with a busy machine; some of them not with a daemon that is gone afterwards."""

from pathlib import Path
from typing import Literal

import vitale_reader
from vitale_reader import Connection, Pairing
from vitale_reader.client.reconnecting import Settings
from vitale_reader.home import Home

__all__ = ["PATIENCE", "not_again", "patient"]

PATIENCE = 60.0


def patient(home: Path) -> Connection:
    """A connection that gives a daemon all the time that it may need."""
    return vitale_reader.connect(home=home, connect_timeout=PATIENCE, call_timeout=PATIENCE)


def not_again(home: Path, *, language: Literal["fr", "en"] = "fr", pairing: Pairing | None = None) -> Settings:
    """Settings of a connection that is opened with patience, and given up at once when it is lost."""
    return Settings(
        home=Home.under(home),
        pairing=pairing,
        language=language,
        connect_timeout=PATIENCE,
        call_timeout=PATIENCE,
        reconnect_timeout=0.0,
    )
