"""Who may speak: paired clients, by certificate, credential or the kernel's word, until they are revoked."""

# Rows are forged as whoever holds the keys of the store could write them.
# pyright: reportPrivateUsage=false

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, get_args

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection, delete, insert, select

from tests.daemon.held_reads import HeldReads, both
from vitale_protocol.errors import InvalidParams, LimitExceeded, NotAuthenticated, NotAuthorised
from vitale_protocol.methods import SCOPES, Scope, Transport
from vitale_protocol.signing import public_jwk
from vitale_reader.daemon import transports
from vitale_reader.daemon.clients import registry as client_registry
from vitale_reader.daemon.clients.callers import LOCAL_CLIENT, Peer
from vitale_reader.daemon.clients.registry import MOST_CLIENTS, ClientRegistry
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.store.clock import StoreClock
from vitale_reader.daemon.store.local_anchor import Remembered
from vitale_reader.daemon.store.sealed_table import SealedTable
from vitale_reader.daemon.store.spool import SpooledStore
from vitale_reader.daemon.store.store import Store
from vitale_reader.daemon.store.tables import clients, table_heads

UNIX = Peer(transport="unix")
DIGEST = "ab" * 32
VAULT = Vault.of_site(b"k" * 32)
SITE = "https://facturation.example.fr"
JWK, OTHER_JWK = (public_jwk(ec.derive_private_key(number, ec.SECP256R1())) for number in (7, 8))
DAY = 86_400.0
PAGE = Peer(transport="websocket", own_user=True)


def with_registry(
    folder: Path, work: Callable[[ClientRegistry], Awaitable[None]], *, now: float = 1_800_000_000.0
) -> None:
    async def main() -> None:
        store = Store(folder / "store.db")
        await store.open()
        try:
            registry = ClientRegistry(store, VAULT, clock=lambda: now)
            await registry.open()
            await work(registry)
        finally:
            await store.close()

    asyncio.run(main())


@pytest.mark.posix
def test_a_client_can_be_paired_for_the_transports_that_there_are_and_for_no_other() -> None:
    # What transports are made of, and which a station has; the owner's pairing is one for TLS.
    shared = {"stream", "listening", "peers", "port_holder", "tcp", "owner", "channels", "gateway", "loopback"}
    shared |= {"dashboard", "dashboard_gateway", "pages"}
    there_are = {module.name for module in iter_modules(transports.__path__)} - shared
    assert there_are == set(get_args(Transport))


def test_the_daemons_own_user_may_do_everything(tmp_path: Path) -> None:
    async def work(registry: ClientRegistry) -> None:
        caller = registry.authenticate(Peer(transport="unix", own_user=True), None)
        assert caller.client_id == LOCAL_CLIENT
        assert caller.scopes == frozenset(SCOPES)

    with_registry(tmp_path, work)


def test_nobody_else_speaks_without_a_credential(tmp_path: Path) -> None:
    async def work(registry: ClientRegistry) -> None:
        for peer, credential in ((UNIX, None), (UNIX, "guess"), (UNIX, ""), (Peer(transport="tls"), None)):
            with pytest.raises(NotAuthenticated):
                registry.authenticate(peer, credential)
        with pytest.raises(NotAuthenticated):
            registry.authenticate(Peer(transport="tls", certificate_sha256=DIGEST), None)

    with_registry(tmp_path, work)


def test_a_paired_client_holds_its_scopes_across_restarts(tmp_path: Path) -> None:
    paired: list[tuple[str, str]] = []

    async def pair(registry: ClientRegistry) -> None:
        paired.append(await registry.add("Officine", scopes=["identity", "nir"], transports=["unix"]))

    async def use(registry: ClientRegistry) -> None:
        client_id, credential = paired[0]
        caller = registry.authenticate(UNIX, credential)
        assert (caller.client_id, caller.name, caller.scopes) == (client_id, "Officine", frozenset({"identity", "nir"}))
        caller.require(["nir"])
        with pytest.raises(NotAuthorised) as refused:
            caller.require(["identity", "rights", "payload"])
        assert refused.value.data == {"scopes": ["payload", "rights"]}
        with pytest.raises(NotAuthenticated):
            registry.authenticate(Peer(transport="tls"), credential)

    with_registry(tmp_path, pair)
    with_registry(tmp_path, use)


def test_its_own_credential_lowers_what_the_own_user_may_do(tmp_path: Path) -> None:
    async def work(registry: ClientRegistry) -> None:
        _, credential = await registry.add("Caisse", scopes=["identity"], transports=["unix"])
        assert registry.authenticate(Peer(transport="unix", own_user=True), credential).scopes == {"identity"}

    with_registry(tmp_path, work)


def test_over_tls_only_the_certificate_counts(tmp_path: Path) -> None:
    async def work(registry: ClientRegistry) -> None:
        client_id, _ = await registry.add("A", scopes=["identity"], transports=["tls"], certificate=lambda _: DIGEST)
        _, other = await registry.add("B", scopes=["nir"], transports=["tls"], certificate=lambda _: "cd" * 32)
        assert registry.authenticate(Peer(transport="tls", certificate_sha256=DIGEST), other).client_id == client_id
        with pytest.raises(NotAuthenticated):
            registry.authenticate(Peer(transport="tls", certificate_sha256="ef" * 32), other)

    with_registry(tmp_path, work)


def test_a_revoked_client_stays_revoked(tmp_path: Path) -> None:
    paired: list[tuple[str, str]] = []

    async def revoke(registry: ClientRegistry) -> None:
        paired.append(await registry.add("A", scopes=["identity"], transports=["unix"]))
        assert await registry.revoke(paired[0][0]) is True
        assert await registry.revoke(paired[0][0]) is False
        assert await registry.revoke("unknown") is False
        with pytest.raises(NotAuthenticated):
            registry.authenticate(UNIX, paired[0][1])

    async def later(registry: ClientRegistry) -> None:
        (client,) = registry.clients
        assert client.revoked_at == 1_800_000_000.0
        with pytest.raises(NotAuthenticated):
            registry.authenticate(UNIX, paired[0][1])

    with_registry(tmp_path, revoke)
    with_registry(tmp_path, later)


@pytest.mark.parametrize("change", ["add", "revoke"])
def test_what_is_written_while_the_registry_is_read_is_not_forgotten(tmp_path: Path, change: str) -> None:
    async def work() -> None:
        store = HeldReads(tmp_path / "store.db")
        await store.open()
        try:
            registry = ClientRegistry(store, VAULT, clock=lambda: 1_800_000_000.0)
            client, credential = await registry.add("A", scopes=["identity"], transports=["unix"])
            if change == "add":
                await both(store, registry.refresh(), registry.add("B", scopes=["identity"], transports=["unix"]))
                assert {"A", "B"} == {each.name for each in registry.clients}
            else:
                await both(store, registry.refresh(), registry.revoke(client))
                with pytest.raises(NotAuthenticated):
                    registry.authenticate(UNIX, credential)
        finally:
            await store.close()

    asyncio.run(work())


def test_the_living_are_listed_before_the_revoked(tmp_path: Path) -> None:
    async def work(registry: ClientRegistry) -> None:
        first, _ = await registry.add("A", scopes=["identity"], transports=["unix"])
        second, _ = await registry.add("B", scopes=["identity"], transports=["unix"])
        await registry.revoke(first)
        assert [client.client_id for client in registry.clients] == [second, first]

    with_registry(tmp_path, work)


def test_of_the_clients_only_those_that_may_speak_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vitale_reader.daemon.clients.registry.MOST_CLIENTS", 3)

    async def add(registry: ClientRegistry) -> str:
        return (await registry.add("A", scopes=["identity"], transports=["unix"]))[0]

    async def work(registry: ClientRegistry) -> None:
        former = [await add(registry) for _ in range(3)]
        with pytest.raises(LimitExceeded) as refused:
            await add(registry)
        assert refused.value.data == {"limit": "clients"}
        for client in former:
            await registry.revoke(client)
        for _ in range(3):
            await add(registry)
        with pytest.raises(LimitExceeded):
            await add(registry)

    with_registry(tmp_path, work)


def test_how_many_clients_a_station_may_pair() -> None:
    assert MOST_CLIENTS == 500


def test_who_may_speak(tmp_path: Path) -> None:
    async def work(registry: ClientRegistry) -> None:
        client, _ = await registry.add("A", scopes=["identity"], transports=["unix"])
        assert [registry.speaks(each) for each in (LOCAL_CLIENT, client, "unknown")] == [True, True, False]
        await registry.revoke(client)
        assert registry.speaks(client) is False

    with_registry(tmp_path, work)


def test_administration_is_not_given_away(tmp_path: Path) -> None:
    async def work(registry: ClientRegistry) -> None:
        with pytest.raises(NotAuthorised) as refused:
            await registry.add("A", scopes=["admin"], transports=["unix"])
        assert refused.value.data == {"scopes": ["admin"]}
        assert registry.clients == ()

    with_registry(tmp_path, work)


def test_the_credential_itself_is_not_kept(tmp_path: Path) -> None:
    paired: list[tuple[str, str]] = []

    async def pair(registry: ClientRegistry) -> None:
        paired.append(await registry.add("A", scopes=["identity"], transports=["unix"]))

    with_registry(tmp_path, pair)
    connection = sqlite3.connect(tmp_path / "store.db")
    assert paired[0][1] not in str(connection.execute("SELECT * FROM clients").fetchall())
    connection.close()


# ── pages ──


def test_a_page_is_known_by_its_key_for_its_site_across_restarts(tmp_path: Path) -> None:
    paired: list[str] = []

    async def pair(registry: ClientRegistry) -> None:
        paired.append(await registry.add_page("Facturation", scopes=["identity", "nir"], site=SITE, jwk=JWK))

    async def come_back(registry: ClientRegistry) -> None:
        caller = registry.authenticate_page(JWK.thumbprint, SITE, "websocket")
        assert (paired[0], frozenset({"identity", "nir"}), SITE) == (caller.client_id, caller.scopes, caller.site)
        assert registry.page(JWK.thumbprint, SITE).jwk == JWK
        (summary,) = registry.clients
        assert (SITE, ("websocket", "stdio")) == (summary.site, summary.transports)

    with_registry(tmp_path, pair)
    with_registry(tmp_path, come_back)


def test_a_page_is_unknown_elsewhere_with_another_key_or_revoked(tmp_path: Path) -> None:
    async def work(registry: ClientRegistry) -> None:
        client_id = await registry.add_page("Facturation", scopes=["identity"], site=SITE, jwk=JWK)
        for kid, site in (
            (JWK.thumbprint, f"{SITE}:8443"),
            (JWK.thumbprint, "https://evil.test"),
            (OTHER_JWK.thumbprint, SITE),
            ("", SITE),
        ):
            with pytest.raises(NotAuthenticated):
                registry.page(kid, site)
        await registry.revoke(client_id)
        with pytest.raises(NotAuthenticated):
            registry.authenticate_page(JWK.thumbprint, SITE, "websocket")
        with pytest.raises(NotAuthenticated):
            await registry.add_page("Facturation", scopes=["identity"], site=SITE, jwk=JWK)

    with_registry(tmp_path, work)


def test_a_page_has_no_other_credential_and_is_nobody_by_the_kernels_word(tmp_path: Path) -> None:
    """A gateway runs as the daemon's user; what it carries is a stranger's."""

    async def work(registry: ClientRegistry) -> None:
        _, credential = await registry.add("Officine", scopes=["identity"], transports=["unix", "tls"])
        for shown in (None, credential):
            with pytest.raises(NotAuthenticated):
                registry.authenticate(PAGE, shown)

    with_registry(tmp_path, work)


@pytest.mark.parametrize("scope", ["admin", "apdu", "payload", "preview"])
def test_a_page_is_never_granted_some_scopes(tmp_path: Path, scope: Scope) -> None:
    async def work(registry: ClientRegistry) -> None:
        with pytest.raises(NotAuthorised):
            await registry.add_page("Facturation", scopes=["identity", scope], site=SITE, jwk=JWK)
        assert () == registry.clients

    with_registry(tmp_path, work)


@pytest.mark.parametrize("scope", ["admin", "apdu", "payload", "preview"])
def test_a_row_that_says_otherwise_is_refused_even_under_a_seal(tmp_path: Path, scope: str) -> None:
    async def forge(registry: ClientRegistry) -> None:
        client_id = await registry.add_page("Facturation", scopes=["identity"], site=SITE, jwk=JWK)
        await registry._write(msgspec.structs.replace(registry._rows[client_id], scopes=f"identity {scope}"))

    async def work(registry: ClientRegistry) -> None:
        with pytest.raises(NotAuthenticated):
            registry.page(JWK.thumbprint, SITE)

    with_registry(tmp_path, forge)
    with_registry(tmp_path, work)


def test_a_row_with_a_key_that_is_none_is_refused(tmp_path: Path) -> None:
    async def forge(registry: ClientRegistry) -> None:
        client_id = await registry.add_page("Facturation", scopes=["identity"], site=SITE, jwk=JWK)
        await registry._write(msgspec.structs.replace(registry._rows[client_id], origins="https://evil.test"))

    async def work(registry: ClientRegistry) -> None:
        assert () == registry.clients

    with_registry(tmp_path, forge)
    with_registry(tmp_path, work)


def test_a_row_whose_site_was_changed_in_the_database_is_refused(tmp_path: Path) -> None:
    async def pair(registry: ClientRegistry) -> None:
        await registry.add_page("Facturation", scopes=["identity"], site=SITE, jwk=JWK)

    async def work(registry: ClientRegistry) -> None:
        assert () == registry.clients

    with_registry(tmp_path, pair)
    with sqlite3.connect(tmp_path / "store.db") as database:
        database.execute("UPDATE clients SET origins = replace(origins, ?, ?)", (SITE, "https://evil.test"))
    database.close()
    with_registry(tmp_path, work)


def test_a_page_that_is_used_stays_and_another_ends_after_half_a_year(tmp_path: Path) -> None:
    start, months = 1_800_000_000.0, 170 * 86_400.0

    async def pair(registry: ClientRegistry) -> None:
        await registry.add_page("Used", scopes=["identity"], site=SITE, jwk=JWK)
        await registry.add_page("Idle", scopes=["identity"], site=SITE, jwk=OTHER_JWK)

    async def use(registry: ClientRegistry) -> None:
        await registry.note_use(registry.authenticate_page(JWK.thumbprint, SITE, "stdio").client_id)

    async def later(registry: ClientRegistry) -> None:
        assert registry.page(JWK.thumbprint, SITE).used_at == start + months
        with pytest.raises(NotAuthenticated):
            registry.page(OTHER_JWK.thumbprint, SITE)

    with_registry(tmp_path, pair, now=start)
    with_registry(tmp_path, use, now=start + months)
    with_registry(tmp_path, later, now=start + 2 * months)


def test_a_clock_that_is_wrong_for_an_hour_neither_ends_a_page_nor_makes_it_last(tmp_path: Path) -> None:
    moments = {"off": 0.0, "steady": 0.0}
    start = 1_800_000_000.0

    async def main() -> None:
        store = Store(tmp_path / "store.db")
        await store.open()
        clock = StoreClock(
            Remembered(), wall=lambda: start + moments["steady"] + moments["off"], steady=lambda: moments["steady"]
        )
        clock.believed()
        registry = ClientRegistry(store, VAULT, clock=clock.now, believed=clock.believed)
        await registry.open()
        try:
            client_id = await registry.add_page("Facturation", scopes=["identity"], site=SITE, jwk=JWK)
            for off in (400 * DAY, 100 * DAY, -400 * DAY):
                moments["off"] = off
                moments["steady"] += 1_800.0
                assert client_id == registry.authenticate_page(JWK.thumbprint, SITE, "stdio").client_id
                await registry.note_use(client_id)
            moments["off"] = 0.0
            await registry.note_use(client_id)
            moments["steady"] += 178 * DAY
            assert registry.has_page_of(SITE)
            moments["steady"] += 4 * DAY
            assert not registry.has_page_of(SITE)
            with pytest.raises(NotAuthenticated):
                registry.page(JWK.thumbprint, SITE)
        finally:
            await store.close()

    asyncio.run(main())


def test_the_registry_is_not_written_at_every_opening(tmp_path: Path) -> None:
    async def work(registry: ClientRegistry) -> None:
        client_id = await registry.add_page("Facturation", scopes=["identity"], site=SITE, jwk=JWK)
        before = registry._rows[client_id]
        await registry.note_use(client_id)
        await registry.note_use("client-unknown")
        assert registry._rows[client_id] is before

    with_registry(tmp_path, work)


@pytest.mark.parametrize("name", ["dashboard", "Local", "L0CAL", "vitale-reader"])
def test_no_client_is_paired_under_a_name_of_the_product_itself(tmp_path: Path, name: str) -> None:
    async def work(registry: ClientRegistry) -> None:
        with pytest.raises(InvalidParams) as refused:
            await registry.add(name, scopes=["identity"], transports=["unix"])
        with pytest.raises(InvalidParams):
            await registry.add_page(name, scopes=["identity"], site=SITE, jwk=JWK)
        assert ("reserved_name", ()) == (refused.value.variant, registry.clients)

    with_registry(tmp_path, work)


def test_a_client_that_was_paired_so_before_is_shown_with_its_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def pair(registry: ClientRegistry) -> None:
        with monkeypatch.context() as before:
            before.setattr(client_registry, "require_own_name", str)
            client_id, credential = await registry.add("dashboard", scopes=["identity"], transports=["unix"])
        assert (f"dashboard ({client_id})",) == tuple(client.name for client in registry.clients)
        assert client_id == registry.authenticate(UNIX, credential).client_id

    with_registry(tmp_path, pair)


@pytest.mark.parametrize("act", ["used", "rotated", "revoked"])
def test_no_desk_takes_a_revocation_back_that_it_has_not_heard_of(tmp_path: Path, act: str) -> None:
    """A page comes to one desk in the moment in which it is revoked at another."""

    async def main() -> None:
        store = Store(tmp_path / "store.db")
        await store.open()
        clock = iter(number * 2 * DAY for number in range(1, 100))
        here, there = (ClientRegistry(store, VAULT, clock=lambda: next(clock)) for _ in range(2))
        await here.open()
        client_id = await here.add_page("page", scopes=("identity",), site=SITE, jwk=JWK)
        await there.open()
        assert await here.revoke(client_id)
        match act:
            case "used":
                await there.note_use(client_id)
            case "rotated":
                with pytest.raises(NotAuthenticated, match="revoked"):
                    await there.rotate_page(client_id, OTHER_JWK)
            case _:
                assert await there.revoke(client_id)
        for registry in (here, there):
            await registry.refresh()
            assert not registry.speaks(client_id)
        await store.close()

    asyncio.run(main())


@pytest.mark.posix
@pytest.mark.parametrize("again", [False, True], ids=["it runs", "it was started anew"])
@pytest.mark.parametrize("moved", [0, 1, 2], ids=["behind", "as far", "beyond"])
def test_a_revocation_that_the_database_lost_is_done_again_by_a_desk_that_knows_of_it(
    site_database: str, tmp_path: Path, again: bool, moved: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A standby that is promoted lacks what was written last; others go on writing there."""

    def written(connection: Connection) -> list[Any]:
        return [(table, connection.execute(select(table)).mappings().all()) for table in (clients, table_heads)]

    async def nothing(*_: object) -> int:
        return 0

    async def main() -> None:
        def desk(name: str) -> SpooledStore:
            spool = Store(tmp_path / name)
            return SpooledStore(Store(site_database), spool, join=nothing, bring=nothing, strict=True)  # type: ignore[arg-type]  # nothing to join

        stores = [desk("here"), desk("there")]
        here, there = (ClientRegistry(store, VAULT, clock=lambda: 1.0, remembered=Remembered()) for store in stores)
        for store in stores:
            await store.open()
        await here.open()
        client_id, _ = await here.add("x", scopes=("identity",), transports=("unix",))
        before = await stores[0].run(written)

        def lose(connection: Connection) -> None:
            for table, rows in before:
                connection.execute(delete(table))
                connection.execute(insert(table), [dict(row) for row in rows])

        assert await here.revoke(client_id)
        await stores[0].run(lose)
        await there.open()
        assert there.speaks(client_id)
        for number in range(moved):
            await there.add(f"y{number}", scopes=("identity",), transports=("unix",))
        if again:
            here = ClientRegistry(stores[0], VAULT, clock=lambda: 1.0, remembered=Remembered())
            await here.open()
        await here.refresh()
        assert not here.speaks(client_id)
        if not moved:  # that the table was put back is known here: an administrator lets it go on
            await stores[0].run(SealedTable(clients, VAULT, Remembered()).accept)
            await here.refresh()
            assert not here.speaks(client_id)
        await there.refresh()
        assert not there.speaks(client_id)
        for store in stores:
            await store.close()

    asyncio.run(main())
    assert "was revoked" in caplog.text
