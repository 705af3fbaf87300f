"""What was stored once is what is stored today: golden vectors of keyed hashes, seals, files and tokens.

A change of a label, of the order of members or of a format fails here, before it forgets what a practice has kept.
"""

# What was sealed is opened by whoever sealed it, and by nothing that is public.
# pyright: reportPrivateUsage=false

import asyncio
import datetime as dt
import json
import tomllib
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection, insert, select

from tests.daemon.patience import PATIENCE
from vitale_protocol import tokens
from vitale_reader.daemon.clients.callers import Peer
from vitale_reader.daemon.clients.registry import ClientRegistry
from vitale_reader.daemon.issuing.contexts import Contexts
from vitale_reader.daemon.issuing.opposition import Opposition
from vitale_reader.daemon.issuing.outbox import Outbox
from vitale_reader.daemon.issuing.replay import ReplayGuard
from vitale_reader.daemon.keystore.certificates import Certificates
from vitale_reader.daemon.keystore.station_keys import DeskClock, Keys
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.site import open_store
from vitale_reader.daemon.site.remote_readers import DeskTold, Names
from vitale_reader.daemon.site.rows.messages import RequestRow, StepTold, Wanted
from vitale_reader.daemon.site.rows.site_rows import SiteRows
from vitale_reader.daemon.site.rows.statements import NOW as DATABASE_NOW
from vitale_reader.daemon.site.station_encryption import open_box, public_key
from vitale_reader.daemon.site.stations import Stations
from vitale_reader.daemon.store import tables
from vitale_reader.daemon.store.audit_trail.chain import Chain
from vitale_reader.daemon.store.audit_trail.entries import AuditEntry
from vitale_reader.daemon.store.audit_trail.verification import Verified
from vitale_reader.daemon.store.clock import StoreClock
from vitale_reader.daemon.store.local_anchor import Remembered, read_anchor
from vitale_reader.daemon.store.row_seals import sealed
from vitale_reader.daemon.store.row_upgrade import bring_forward
from vitale_reader.daemon.store.store import Store

NOW = 1_800_000_000.0
STATION = "10000000-0000-4000-8000-000000000000"
INCARNATION = "0123456789abcdef0123456789abcdef"
REQUEST = "20000000-0000-4000-8000-000000000000"

BYTES = {"mac", "seal", "before", "sealed"}
"""Columns that hold bytes."""


def vectors(name: str) -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("vectors").joinpath(f"{name}.toml").read_text("utf-8"))


KEYS, ROWS, SITE, SEALS = vectors("keys"), vectors("rows"), vectors("site"), vectors("seals")
VAULT = Vault.of_site(bytes.fromhex(KEYS["keys"]["site"]))


def row(vector: dict[str, Any], *others: str) -> dict[str, Any]:
    """The row of a table, without the members that are in the vector besides."""
    kept = {name: value for name, value in vector.items() if name not in others}
    return {name: bytes.fromhex(value) if name in BYTES else value for name, value in kept.items()}


def with_store(place: Path | str, work: Callable[[Store], Awaitable[None]]) -> None:
    async def main() -> None:
        store = Store(place)
        await store.open()
        try:
            await work(store)
        finally:
            await store.close()

    asyncio.run(main())


async def put(store: Store, table: Any, *rows: dict[str, Any]) -> None:
    """Rows as version 0.1 wrote them, without a seal."""
    await store.run(lambda connection: connection.execute(insert(table), list(rows)))


async def forward(store: Store) -> None:
    """What a daemon does with them at its first start."""
    await bring_forward(store, VAULT, Remembered())


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """The station whose file is in the vectors."""
    file = tmp_path / "station.json"
    file.write_text(KEYS["keys"]["station_json"])
    opened = Keys(file, overlap=600, clock=DeskClock(lambda: NOW))
    opened.open()
    return opened


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_file_of_the_secrets(keys: Keys) -> None:
    vector = KEYS["keys"]
    assert keys.station == vector["station"]
    assert keys.issuer == f"urn:vitale-reader:{vector['station']}"
    assert keys.signing[0] == vector["kid"]
    assert keys.agreement.hex() == vector["agreement"]
    assert public_key(keys.agreement).hex() == vector["agreement_public"]


@pytest.mark.parametrize("name", ["site", "station"])
def test_the_keys_of_a_store(keys: Keys, name: str) -> None:
    vault = VAULT if name == "site" else keys.vault
    made = {member: getattr(vault, member).hex() for member in ("sealing", "digests", "chain", "serials")}
    assert made == KEYS["derived"][name]


def test_the_fingerprint_of_evidence(keys: Keys) -> None:
    vector = KEYS["evidence"]
    evidence = {name: bytes.fromhex(vector[name]) for name in ("identity", "nir")}
    assert keys.fingerprint(evidence) == vector["sha256"]


def test_the_digest_of_a_credential(tmp_path: Path) -> None:
    vector = KEYS["credential"]

    async def work(store: Store) -> None:
        client = {"client_id": "client-1", "name": "Officine", "scopes": "identity", "transports": "unix"}
        await put(store, tables.clients, client | {"credential_sha256": vector["sha256"], "created_at": NOW})
        await forward(store)
        registry = ClientRegistry(store, VAULT, clock=lambda: NOW)
        await registry.open()
        assert registry.authenticate(Peer(transport="unix"), vector["secret"]).client_id == "client-1"

    with_store(tmp_path / "store.db", work)


# ── tokens ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_token_is_written_as_ever(keys: Keys) -> None:
    """ES256 signs with a random number: header and payload are compared, the signature is verified."""
    vector = KEYS["token"]
    payload = urlsafe_b64decode(vector["payload"] + "=" * (-len(vector["payload"]) % 4))
    claims = msgspec.json.decode(payload, type=tokens.Claims)
    kid, key = keys.signing
    signed = tokens.sign(claims, key, kid)
    assert signed.split(".")[:2] == [vector["header"], vector["payload"]]
    for token in (signed, f"{vector['header']}.{vector['payload']}.{vector['signature']}"):
        verified = tokens.verify(token, keys.jwks, audience="client-1", nonce="n" * 22, now=NOW)
        assert verified == claims


def test_the_claims_of_a_token() -> None:
    payload = KEYS["token"]["payload"]
    claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims == {
        "ver": 1,
        "iss": f"urn:vitale-reader:{STATION}",
        "aud": "client-1",
        "iat": 1_800_000_000,
        "exp": 1_800_000_120,
        "jti": "01a3185c-5000-7000-8000-000000000001",
        "nonce": "n" * 22,
        "presented_at": 1_799_999_999.5,
        "medium": "vitale-card",
        "proof": {"method": "card-clear-read", "verified": False, "freshness": "none"},
        "origin": "unknown",
        "reader": {"id": "pcsc:lecteur", "driver": "pcsc"},
        "purpose": ["facturation"],
        "scopes": ["identity", "nir"],
        "record": {
            "assure": {"nir": "1850699999999", "cle_nir": "69"},
            "beneficiaires": [{"nom_usuel": "D'ESSAI", "prenom": "ÉLODIE"}],
            "porteur": 0,
        },
        "evidence": {"sha256": "ab" * 32},
        "warnings": ["nir_unusual"],
    }


# ── certificates ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_fixed_in_certificates(tmp_path: Path) -> None:
    vector = KEYS["certificate"]
    now = dt.datetime.fromtimestamp(vector["now"], dt.UTC)
    made = Certificates(tmp_path / "tls", station=vector["station"], host=vector["host"], now=now)
    made.open()
    authority, daemon, client = (
        x509.load_pem_x509_certificate(pem.encode())
        for pem in (made.authority, made.daemon_certificate, made.issue_client("client-1").certificate)
    )
    for certificate in (authority, daemon, client):
        key = certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert key.curve.name == vector["curve"]
        assert certificate.version is x509.Version.v3
        assert certificate.signature_algorithm_oid.dotted_string == vector["signature"]
        assert certificate.not_valid_before_utc.timestamp() == vector["not_before"]
        assert certificate.not_valid_after_utc.timestamp() == vector["not_after"]
        assert certificate.issuer.rfc4514_string() == vector["authority"]
        certificate.verify_directly_issued_by(authority)
    subjects = [certificate.subject.rfc4514_string() for certificate in (authority, daemon, client)]
    assert subjects == [vector["authority"], vector["daemon"], "CN=client-1"]
    assert [basic_constraints(one) for one in (authority, daemon, client)] == [(True, 0), (False, None), (False, None)]
    assert [usages(one) for one in (daemon, client)] == [[vector["server_usage"]], [vector["client_usage"]]]
    names = daemon.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == vector["names"]


def basic_constraints(certificate: x509.Certificate) -> tuple[bool, int | None]:
    found = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert found.critical
    return found.value.ca, found.value.path_length


def usages(certificate: x509.Certificate) -> list[str]:
    found = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    return [usage.dotted_string for usage in found]


# ── rows ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_audit_trail_is_written_as_ever(tmp_path: Path) -> None:
    written = [row(vector) for vector in ROWS["audit"]["rows"]]
    entries = [
        AuditEntry(**{name: value for name, value in one.items() if name in AuditEntry.__struct_fields__})
        for one in written
    ]
    chain = Chain(VAULT, STATION)

    async def work(store: Store) -> None:
        for entry in entries:
            await store.run(partial(chain.append, entry=entry))
        found = await store.run(lambda connection: connection.execute(select(tables.audit)).mappings().all())
        assert [one["mac"].hex() for one in found] == [one["mac"].hex() for one in written]
        head = await store.run(lambda connection: connection.execute(select(tables.audit_heads)).mappings().one())
        assert dict(head) == row(ROWS["audit"]["head"])
        anchor = await store.run(chain.anchor)
        assert msgspec.json.encode(anchor).decode() == ROWS["audit"]["anchor"]["file"]

    with_store(tmp_path / "store.db", work)


def test_a_stored_audit_trail_verifies(tmp_path: Path) -> None:
    (tmp_path / "anchor").write_text(ROWS["audit"]["anchor"]["file"])
    chain = Chain(VAULT, STATION)

    async def work(store: Store) -> None:
        missing = dict.fromkeys(column.name for column in tables.audit.columns if column.name != "id")
        await put(store, tables.audit, *(missing | row(vector) for vector in ROWS["audit"]["rows"]))
        await put(store, tables.audit_heads, row(ROWS["audit"]["head"]))
        anchor = read_anchor(tmp_path / "anchor")
        found = await store.run(lambda connection: chain.verifier.verify(connection, anchor))
        assert found == [Verified(station=STATION, rows=3)]

    with_store(tmp_path / "store.db", work)


@pytest.mark.parametrize("vector", ROWS["replay"], ids=[vector["kind"] for vector in ROWS["replay"]])
def test_the_digest_of_what_was_used(vector: dict[str, str]) -> None:
    guard = ReplayGuard(
        cast("Any", None),
        VAULT,
        days=2,
        printed=True,
        clock=StoreClock(Remembered(), wall=lambda: NOW, steady=lambda: NOW),
    )
    assert guard.digest({vector["kind"]: vector["value"].encode()}) == vector["digest"]


def test_a_sealed_token_of_the_outbox(tmp_path: Path) -> None:
    vector = ROWS["outbox"]

    async def work(store: Store) -> None:
        await put(store, tables.outbox, row(vector, "token"))
        await forward(store)
        outbox = Outbox(
            store, VAULT, Chain(VAULT, STATION), clock=StoreClock(Remembered(), wall=lambda: NOW, steady=lambda: NOW)
        )
        (listed,) = await outbox.list(vector["client_id"])
        assert (listed.jti, listed.exp, listed.token) == (vector["jti"], vector["exp"], vector["token"])

    with_store(tmp_path / "store.db", work)


def test_a_sealed_context(tmp_path: Path) -> None:
    vector = ROWS["context"]
    named = ("identifiant", "token", "date_fin_validite")

    async def work(store: Store) -> None:
        await put(store, tables.contexts, row(vector, *named))
        await forward(store)
        resolver: Any = None  # none is asked
        contexts = Contexts(
            store,
            VAULT,
            resolver,
            station=STATION,
            mode="production",
            notify=lambda _client, _event: False,
            clock=StoreClock(Remembered(), wall=lambda: NOW, steady=lambda: NOW),
        )
        await contexts.open()
        kept = contexts._open(contexts._of(vector["client_id"], vector["identifiant"]))
        assert {name: getattr(kept, name) for name in named} == {name: vector[name] for name in named}
        assert kept.origin == "production"

    with_store(tmp_path / "store.db", work)


def test_a_sealed_opposition_list(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        await put(store, tables.opposition_lists, row(ROWS["opposition"]["list"]))
        await put(store, tables.opposition_parts, row(ROWS["opposition"]["part"]))
        await forward(store)
        opposition = Opposition(store, VAULT)
        await opposition.refresh()
        assert [opposition.lists(serial) for serial in ("1234567890", "00042", "42", "1234567891")] == [
            True,
            True,
            True,
            False,
        ]

    with_store(tmp_path / "store.db", work)


SEALED = {
    "clients": row(SEALS["client"]),
    "outbox": row(ROWS["outbox"], "token"),
    "contexts": row(ROWS["context"], "identifiant", "token", "date_fin_validite"),
    "seen": SEALS["used"],
    "opposition_lists": row(ROWS["opposition"]["list"]),
    "site": SITE["site"],
    "stations": row(SITE["station"], "kid"),
}


@pytest.mark.parametrize("table", SEALED)
def test_the_seal_of_a_row(table: str) -> None:
    assert VAULT.rows.hex() == SEALS["keys"]["site"]
    assert sealed(VAULT, tables.metadata.tables[table], SEALED[table])["seal"].hex() == SEALS["seals"][table]


def test_a_table_with_its_head(tmp_path: Path) -> None:
    client = SEALED["clients"] | {"seal": bytes.fromhex(SEALS["seals"]["clients"])}
    head = SEALS["head"] | {name: bytes.fromhex(SEALS["head"][name]) for name in ("rows", "seal")}

    async def work(store: Store) -> None:
        await put(store, tables.clients, client)
        await put(store, tables.table_heads, head)
        registry = ClientRegistry(store, VAULT, clock=lambda: NOW)
        await registry.open()
        assert registry.authenticate(Peer(transport="unix"), KEYS["credential"]["secret"]).client_id == "client-1"

    with_store(tmp_path / "store.db", work)


# ── a site ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_digest_of_a_sites_key(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        await open_store._agree(store, VAULT, tmp_path / "site.key")
        found = await store.run(lambda connection: connection.execute(select(tables.site)).mappings().one())
        assert {name: found[name] for name in SITE["site"]} == SITE["site"]

    with_store(tmp_path / "store.db", work)


def test_what_a_station_tells_of_itself(tmp_path: Path) -> None:
    vector = SITE["station"]
    other = Keys(tmp_path / "other.json", overlap=600, clock=DeskClock(lambda: NOW))
    other.open()
    now = dt.datetime.fromtimestamp(NOW, dt.UTC)
    certificates = Certificates(tmp_path / "tls", station=other.station, host="127.0.0.1", now=now)
    certificates.open()

    async def work(store: Store) -> None:
        await put(store, tables.stations, row(vector, "kid"))
        await forward(store)
        stations = Stations(store, VAULT, other, certificates, name="comptoir 2")
        await stations.refresh()
        assert [key["kid"] for key in other.of_others] == [vector["kid"]]
        assert stations.agreement(vector["station"]).hex() == KEYS["keys"]["agreement_public"]

    with_store(tmp_path / "store.db", work)


@pytest.mark.usefixtures("patient")
def test_what_desks_tell_one_another(site_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vitale_reader.daemon.site.rows.desks.LOST", PATIENCE)
    sealed = {name: bytes.fromhex(SITE[name]["sealed"]) for name in ("request", "desk", "step")}
    desk = SITE["desk"]

    async def work(store: Store) -> None:
        rows = SiteRows(store, VAULT, station=STATION, incarnation=INCARNATION)
        times = {"asked_at": DATABASE_NOW, "ends_at": DATABASE_NOW + 30}
        asked = {"id": REQUEST, "asked_by": INCARNATION, "sealed": sealed["request"]}
        told = {name: desk[name] for name in ("station", "incarnation", "version")} | {"sealed": sealed["desk"]}

        def write(connection: Connection) -> None:
            connection.execute(insert(tables.site_requests).values(**asked, **times))
            connection.execute(insert(tables.site_desks).values(**told, beat_at=DATABASE_NOW))
            connection.execute(insert(tables.site_steps).values(request=REQUEST, sealed=sealed["step"]))

        await store.run(write)
        _, seen = await rows.look([REQUEST], beat=False)
        assert seen.desks[STATION].told == DeskTold(
            name="comptoir 1", mode="production", groups=("accueil",), readers=seen.desks[STATION].told.readers
        )
        assert [reader.id for reader in seen.desks[STATION].told.readers] == ["r-1"]
        assert seen.steps == ((REQUEST, StepTold(step="reading", reader="r-1")),)
        of_request = RequestRow(id=REQUEST, asked_by=INCARNATION, left=30, taken_by=None, answered=False, answer=None)
        assert await rows.requests.wanted(of_request) == Wanted(
            station=STATION,
            mode="production",
            client_id="client-1",
            nonce="n" * 22,
            scopes=("identity",),
            purpose=None,
            media=frozenset({"vitale-card"}),
            names=Names(readers=((STATION, "r-1"),), groups=()),
            timeout=30.0,
        )

    with_store(site_database, work)


def test_what_is_sealed_for_one_station(keys: Keys) -> None:
    vector = SITE["answer"]
    sealed = bytes.fromhex(vector["sealed"])
    opened = open_box(keys.agreement, sealed, vault=VAULT, bound_to=vector["bound_to"])
    assert opened.decode() == vector["plain"]
