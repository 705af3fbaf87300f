"""The chain of the audit trail on a store in memory: what is not genuine is neither believed nor carried on."""

from collections.abc import Iterator, Sequence

import pytest
from sqlalchemy import Connection, create_engine, delete, func, select, text
from sqlalchemy.exc import IntegrityError

from vitale_reader.daemon.database.combined_writes import Write
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.store.audit_trail import chain, retention
from vitale_reader.daemon.store.audit_trail.chain import BELIEVED, Chain
from vitale_reader.daemon.store.audit_trail.entries import LOST, AuditEntry
from vitale_reader.daemon.store.audit_trail.relinking import relink
from vitale_reader.daemon.store.audit_trail.verification import Verifier
from vitale_reader.daemon.store.audit_trail.walk import Broken
from vitale_reader.daemon.store.local_anchor import Anchor
from vitale_reader.daemon.store.tables import audit, audit_heads, metadata

VAULT, OTHER = Vault.of_site(b"k" * 32), Vault.of_site(b"o" * 32)
STATION = "10000000-0000-4000-8000-000000000000"
FOREIGN = "20000000-0000-4000-8000-000000000000"
HEAD_CHANGED = "UPDATE audit_heads SET first = first + 1"


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.begin() as opened:
        metadata.create_all(opened)
        yield opened
    engine.dispose()


def entry(at: float, action: str = "session.open") -> AuditEntry:
    return AuditEntry(at=at, action=action, outcome="ok")


def written(connection: Connection, count: int, station: str = STATION) -> Chain:
    """A chain of so many rows, one a second."""
    made = Chain(VAULT, station)
    made.begin(connection, at=0.0)
    for at in range(count):
        made.append(connection, entry(float(at)))
    return made


def numbers(connection: Connection) -> list[int]:
    return list(connection.execute(select(audit.c.number).order_by(audit.c.number)).scalars())


def broken(connection: Connection, anchor: Anchor | None = None) -> Broken | None:
    (verified,) = Verifier(VAULT, STATION).verify(connection, anchor)
    return verified.broken


@pytest.mark.parametrize("hand", ["", HEAD_CHANGED, "DELETE FROM audit_heads"], ids=["other key", "changed", "no head"])
def test_a_chain_that_is_not_of_the_former_key_is_not_linked_anew(connection: Connection, hand: str) -> None:
    written(connection, 3)
    if hand:
        connection.execute(text(hand))
    before = connection.execute(select(audit.c.mac)).scalars().all()
    assert 0 == relink(connection, OTHER, STATION, VAULT if hand else Vault.of_site(b"x" * 32))
    assert before == connection.execute(select(audit.c.mac)).scalars().all()


def test_a_head_that_was_taken_away_is_a_loss_that_is_told(
    connection: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    made = written(connection, 2)
    connection.execute(delete(audit_heads))
    made.append(connection, entry(5.0))
    assert [1, 2, 3, 4] == numbers(connection)
    assert "the audit trail before line 3 was put back, cut or lost: see `audit verify`" in caplog.messages
    assert LOST == connection.execute(select(audit.c.action).where(audit.c.number == 3)).scalar()
    assert 3 == made.verifier.unresolved(connection)
    assert broken(connection) is not None


@pytest.mark.parametrize("value", ["x", b"\x00", 1.5])
def test_a_head_of_other_types_is_no_head(connection: Connection, value: object) -> None:
    written(connection, 2)
    connection.execute(text("UPDATE audit_heads SET first = :value"), {"value": value})
    assert "head" == getattr(broken(connection), "why", None)


def test_a_row_that_is_not_where_the_station_knows_it_is_told(connection: Connection) -> None:
    written(connection, 5)
    known = Chain(VAULT, STATION).anchor(connection)
    assert known is not None
    assert broken(connection, known) is None
    assert Broken(number=3, why="changed") == broken(connection, Anchor(number=3, mac=known.mac))


def test_only_what_verifies_is_forgotten_and_not_all_of_it_at_once(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "MOST_FORGOTTEN", 3)
    written(connection, 8)
    left = [retention.purge(connection, VAULT, 7.0) for _ in range(4)]
    assert ([3, 3, 1, 0], [8]) == (left, numbers(connection))
    assert broken(connection) is None


@pytest.mark.parametrize("hand", [HEAD_CHANGED, "UPDATE audit_heads SET first = 'x'"])
def test_under_a_head_that_was_changed_nothing_is_forgotten(connection: Connection, hand: str) -> None:
    written(connection, 3)
    connection.execute(text(hand))
    assert 0 == retention.purge(connection, VAULT, 99.0)
    assert [1, 2, 3] == numbers(connection)


def test_rows_that_are_not_there_cannot_be_let_go(connection: Connection) -> None:
    made = written(connection, 3)
    made.drop(connection, 7)
    Chain(VAULT, FOREIGN).drop(connection, 1)
    assert [1, 2, 3] == numbers(connection)
    made.drop(connection, 2)
    assert [3] == numbers(connection)
    assert broken(connection) is None


class Clash(Exception):
    """A constraint of the server that refused a row."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.diag = self
        self.constraint_name = name


def test_where_others_move_the_head_all_the_time_it_has_to_be_locked(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[object] = []

    def never(_connection: Connection, row: object, *_: object) -> bool:
        tries.append(row)
        return False

    made = written(connection, 1)
    monkeypatch.setattr(chain, "write_together", never)
    assert not made.append_with(connection, entry(9.0), ())
    assert BELIEVED == len(tries)
    assert [1] == numbers(connection)


@pytest.mark.parametrize(("constraint", "raises"), [("audit_chain", False), ("outbox_pkey", True)])
def test_a_row_in_the_way_is_looked_into_and_another_clash_is_told(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, constraint: str, raises: bool
) -> None:
    def clash(_connection: Connection, _row: object, _seal: bytes, _head: object, _writes: Sequence[Write]) -> bool:
        raise IntegrityError("INSERT", None, Clash(constraint))

    made = written(connection, 1)
    monkeypatch.setattr(chain, "write_together", clash)
    if raises:
        with pytest.raises(IntegrityError):
            made.append_with(connection, entry(9.0), ())
    else:
        assert not made.append_with(connection, entry(9.0), ())
    assert 1 == connection.execute(select(func.count()).select_from(audit)).scalar()
