"""What a desk knows of the others of its site: what it was not told it does not make up."""

import asyncio
import contextlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.daemon.held_reads import HeldReads, both
from vitale_protocol.errors import StoreUnavailable
from vitale_reader.daemon.keystore.station_keys import DeskClock, Keys
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.site.station_encryption import public_key
from vitale_reader.daemon.site.stations import Stations
from vitale_reader.home import Home

VAULT = Vault.of_site(b"k" * 32)
OTHER = "20000000-0000-4000-8000-000000000000"


class Refusing:
    """A database that refuses."""

    def __init__(self, error: StoreUnavailable) -> None:
        self.error = error
        self.asked = 0

    async def run(self, _work: object, **_: object) -> None:
        self.asked += 1
        raise self.error


def keys_in(folder: Path) -> Keys:
    home = Home.under(folder)
    home.state.mkdir(parents=True, mode=0o700)
    made = Keys(home.state / "station.json", overlap=1.0, clock=DeskClock(lambda: 1_800_000_000.0))
    made.open()
    return made


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return keys_in(tmp_path)


def stations(keys: Keys, store: object) -> Stations:
    def trust(_: str) -> None:
        pass

    certificates = cast("Any", SimpleNamespace(authority="PEM", trust=trust))
    return Stations(cast("Any", store), VAULT, keys, certificates, name="here")


def test_nothing_is_sealed_for_a_desk_that_was_not_heard(keys: Keys) -> None:
    here = stations(keys, Refusing(StoreUnavailable("away")))
    assert public_key(keys.agreement) == here.agreement(keys.station)
    with pytest.raises(StoreUnavailable, match="has not told its keys"):
        here.agreement(OTHER)
    assert (True, False) == (here.knows([keys.station]), here.knows([OTHER]))


@pytest.mark.parametrize(("variant", "is_told"), [("database-silent", True), ("tampered", False)])
def test_a_desk_that_cannot_tell_its_keys_tries_again(keys: Keys, variant: str, is_told: bool) -> None:
    async def work() -> None:
        for _ in range(2):
            # Of one that was tampered with an administrator has to know first; others are read meanwhile.
            with pytest.raises(StoreUnavailable, match="no") if is_told else contextlib.nullcontext():
                await here.tell()

    store = Refusing(StoreUnavailable("no", variant=variant))
    here = stations(keys, store)
    asyncio.run(work())
    assert 2 == store.asked


def test_of_two_looks_at_once_the_later_counts(keys: Keys, tmp_path: Path) -> None:
    other = keys_in(tmp_path / "other")

    async def work() -> None:
        store = HeldReads(tmp_path / "store.db")
        await store.open()
        try:
            here = stations(keys, store)
            await here.tell()

            async def another_comes() -> None:
                await stations(other, store).tell()
                await here.refresh()

            await both(store, here.refresh(), another_comes())
            assert here.knows([other.station])
        finally:
            await store.close()

    asyncio.run(work())
