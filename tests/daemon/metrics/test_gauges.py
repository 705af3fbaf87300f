"""The gauges: each says what the part of the desk behind it says."""

import asyncio

from sqlalchemy import insert

from tests.metrics.shown import MemoryStore, gauges
from vitale_protocol.metrics.families import Family
from vitale_reader.daemon.metrics.gauges import look_up
from vitale_reader.daemon.store.tables import outbox, seen, site


def looked_up(store: MemoryStore) -> dict[str, Family]:
    return {family.name: family for family in asyncio.run(look_up(gauges(store)))}


def value(found: dict[str, Family], name: str) -> float:
    (sample,) = found[f"vitale_reader_{name}"].samples
    return sample.value


def fill(store: MemoryStore) -> None:
    """Three tokens, of which one has expired, a string that was used, an acknowledgement, and the spool's own name."""
    token = {"client_id": "c", "sealed": b"", "seal": b""}
    with store.begin() as connection:
        for number, exp in enumerate((1_700_000_050, 1_700_000_150, 1_700_000_200)):
            connection.execute(insert(outbox), {"jti": f"j{number}", "presentation": f"p{number}", "exp": exp, **token})
        connection.execute(
            insert(seen), {"digest": "d", "state": "used", "expires_at": 0.0, "claim": "", "seal": b"", "noted_at": 0}
        )
        for name in ("ack:one:1", "spool"):
            connection.execute(insert(site), {"name": name, "value": ""})


def test_each_part_of_the_desk_is_told() -> None:
    with MemoryStore() as store:
        found = looked_up(store)
    assert 1.0 == value(found, "driver_up")
    assert 2.0 == value(found, "driver_restarts")
    assert 0.0 == value(found, "gateway_up")
    assert 3.0 == value(found, "sessions")
    assert -7.5 == value(found, "clock_offset_seconds")
    assert 4.0 == value(found, "audit_lines_waiting")
    assert 0.0 == value(found, "site_database_up")
    states = {sample.labels: sample.value for sample in found["vitale_reader_resolver_state"].samples}
    assert {("none",): 0.0, ("ready",): 0.0, ("degraded",): 0.0, ("open",): 1.0} == states
    readers = {sample.labels: sample.value for sample in found["vitale_reader_readers"].samples}
    assert 1.0 == readers["pcsc", "empty"]
    assert {0.0, 1.0} == set(readers.values())


def test_tokens_that_have_not_expired_and_rows_of_the_spool_are_counted() -> None:
    with MemoryStore() as store:
        fill(store)
        found = looked_up(store)
    assert 2.0 == value(found, "outbox_tokens")
    assert 5.0 == value(found, "spool_rows")
    assert 0.0 <= value(found, "store_round_trip_seconds")


def test_a_desk_of_its_own_has_no_site() -> None:
    with MemoryStore() as store:
        store.shared = False
        assert not {"vitale_reader_site_database_up", "vitale_reader_spool_rows"} & looked_up(store).keys()
