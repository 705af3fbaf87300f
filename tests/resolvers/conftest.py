"""A SOAP resolver with the options of a site, opened for a test, and the strings of the simulated phones."""

import secrets
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest

from vitale_firmware_sim.phone.strings import Handle, StringSealer
from vitale_firmware_sim.scenario import Scenario, load_scenario
from vitale_protocol.methods import StationMode
from vitale_reader.resolvers import apcv_soap
from vitale_reader.resolvers.apcv_soap import ApcvSoapResolver

PATIENCE = 40.0


class Soap:
    """What the tests of this folder share."""

    options: ClassVar[dict[str, Any]] = {
        "assertion": "simulator",
        "rights": "simulator",
        "identifiant_facturation": "123456782",
        "code_specialite": "50",
        "emetteur": "officine-essai",
        "idam": "IDAM-0000",
        "lps_nom": "vitale-reader",
        "lps_version": "0.1",
        "lps_instance": "comptoir-1",
    }

    def resolver(self, url: str, mode: StationMode = "simulated", **changes: Any) -> ApcvSoapResolver:
        return ApcvSoapResolver({**self.options, "url": url, **changes}, mode)

    @asynccontextmanager
    async def open(self, url: str, **changes: Any) -> AsyncGenerator[ApcvSoapResolver]:
        resolver = self.resolver(url, **changes)
        await resolver.open()
        try:
            yield resolver
        finally:
            await resolver.close()


@pytest.fixture
def soap(monkeypatch: pytest.MonkeyPatch) -> Soap:
    # A service of this process is there, however late a busy machine lets it answer.
    monkeypatch.setattr(apcv_soap, "CONNECT", PATIENCE)
    return Soap()


@pytest.fixture
def show() -> Callable[..., bytes]:
    """Shows the phone of somebody: ``show("claire", scenario="famille", holder="paul", porteur=1, age=0.0)``."""

    def shown(
        owner: str, *, scenario: str | Scenario = "famille", holder: str = "", porteur: int = 0, age: float = 0.0
    ) -> bytes:
        known = load_scenario(scenario) if isinstance(scenario, str) else scenario
        now = time.time()
        handle = Handle(owner, holder or owner, porteur, now - age, now + 3600 if holder else 0.0)
        return StringSealer(known.secret).seal(handle, secrets.token_bytes)

    return shown
