"""Stations whose web door is open, for tests that come in behind the gateway: none of them pays for its start."""

import sys
from functools import partial
from pathlib import Path

import pytest

from vitale_drivers.base import Pong
from vitale_drivers.host.pipe import encode
from vitale_reader.daemon.transports import pages
from vitale_reader.daemon.transports.gateway import Gateway

__all__ = ["begin_no_gateway"]

SCRIPT = Path(__file__).with_name("idle_gateway.py")
COMMAND = (sys.executable, "-I", "-S", str(SCRIPT), encode(Pong(id=0)).hex())


def begin_no_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has stations of this test start a gateway that serves nobody."""
    monkeypatch.setattr(pages, "Gateway", partial(Gateway, command=COMMAND))
