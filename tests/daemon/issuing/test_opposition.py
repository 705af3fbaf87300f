"""Opposition lists: no serial can be read in the store, listed cards are refused, daemons that run notice."""

# pyright: reportPrivateUsage=false

import asyncio
import sys
import time
import tracemalloc
from array import array
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from tests.daemon.held_reads import HeldReads, both
from vitale_protocol.errors import LocalMisuse, StoreUnavailable
from vitale_protocol.records import Assure, Record
from vitale_reader.daemon.issuing import opposition
from vitale_reader.daemon.issuing.opposition import ListSummary, Opposition, clear, replace, serials_of, summaries
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.site import external_changes as news
from vitale_reader.daemon.store.store import Store

VAULT = Vault.of_site(b"k" * 32)
SERIAL = "468963684"
PATIENCE = 30.0


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where a store can be, of both kinds."""
    return tmp_path / "store.db" if request.param == "sqlite" else str(request.getfixturevalue("site_database"))


def on(place: Path | str, work: Callable[[Store, Opposition], Awaitable[None]]) -> None:
    async def main() -> None:
        store = Store(place)
        await store.open()
        try:
            await work(store, Opposition(store, VAULT))
        finally:
            await store.close()

    asyncio.run(main())


def test_of_two_looks_at_once_the_later_counts(tmp_path: Path) -> None:
    async def work() -> None:
        store = HeldReads(tmp_path / "store.db")
        await store.open()
        try:
            lists = Opposition(store, VAULT)

            async def imported() -> None:
                await store.run(replace(VAULT, "site", [SERIAL], at=5.0))
                await lists.refresh()

            await both(store, lists.refresh(), imported())
            assert lists.lists(SERIAL)
        finally:
            await store.close()

    asyncio.run(work())


def test_listed_cards_are_known_until_the_list_is_another(place: Path | str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opposition, "PIECE", 7)
    monkeypatch.setattr(opposition, "CHUNK", 32)
    numbers = [str(number) for number in range(100_000_000, 100_000_050)]

    async def work(store: Store, lists: Opposition) -> None:
        await lists.refresh()
        assert not lists.lists(SERIAL)
        assert await store.run(replace(VAULT, "site", [*numbers, SERIAL, SERIAL], at=5.0)) == 51
        await lists.refresh()
        assert lists.lists(SERIAL)
        assert lists.lists(" 468 963 684")
        assert lists.lists("000468963684")
        assert all(map(lists.lists, numbers))
        assert not lists.lists("468963685")
        assert not lists.lists(None)
        await store.run(replace(VAULT, "other", ["777777777"], at=6.0))
        await store.run(replace(VAULT, "site", numbers, at=7.0))
        await lists.refresh()
        assert (lists.lists(SERIAL), lists.lists("777777777")) == (False, True)
        assert await store.run(summaries(VAULT)) == [
            ListSummary(name="other", entries=1, imported_at=6.0),
            ListSummary(name="site", entries=50, imported_at=7.0),
        ]
        assert await store.run(clear(VAULT, "site")) == 1
        assert await store.run(clear(VAULT)) == 1
        assert await store.run(clear(VAULT)) == 0
        await lists.refresh()
        assert not lists.lists(numbers[0])
        left = await store.run(lambda connection: connection.execute(text("SELECT * FROM opposition_parts")).all())
        assert left == []

    on(place, work)


def test_the_store_shows_neither_serials_nor_digests(tmp_path: Path) -> None:
    async def work(store: Store, _: Opposition) -> None:
        await store.run(replace(VAULT, "site", [SERIAL], at=0.0))

    on(tmp_path / "store.db", work)
    content = b"".join(file.read_bytes() for file in tmp_path.glob("store.db*"))
    assert SERIAL.encode() not in content
    assert VAULT.serial(SERIAL.encode())[:8] not in content


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE opposition_parts SET sealed = X'00'",
        "DELETE FROM opposition_parts WHERE part = 1",
        "UPDATE opposition_lists SET parts = 1",
        "UPDATE opposition_lists SET generation = 'another'",
    ],
)
def test_a_list_that_was_changed_in_the_store_is_not_taken_for_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    monkeypatch.setattr(opposition, "PIECE", 1)

    async def work(store: Store, lists: Opposition) -> None:
        await store.run(replace(VAULT, "site", [SERIAL, "123456789"], at=0.0))
        await store.run(lambda connection: connection.execute(text(statement)))
        with pytest.raises(StoreUnavailable):
            await lists.refresh()
        with pytest.raises(StoreUnavailable):
            lists.lists("111111111")
        assert not lists.lists(None), "what tells no serial goes on"
        await store.run(replace(VAULT, "site", [SERIAL], at=0.0))
        await lists.refresh()
        assert lists.lists(SERIAL)

    on(tmp_path / "store.db", work)


def test_before_the_first_look_nothing_is_known(tmp_path: Path) -> None:
    async def work(_: Store, lists: Opposition) -> None:
        with pytest.raises(StoreUnavailable):
            lists.lists(SERIAL)

    on(tmp_path / "store.db", work)


@pytest.mark.parametrize(
    ("lines", "serials"),
    [
        (["468963684\n", "\n", "# made today\n", " 12 34-56.78 # lost\n"], ["468963684", "12345678"]),
        (["\ufeffnumero;motif\n", '"0000468963684";perdue\n'], ["468963684"]),
        (["468963684\t2026\r\n", "468963685,x\r\n"], ["468963684", "468963685"]),
        (["abcd1234\n"], ["ABCD1234"]),
        ([], []),
    ],
)
def test_files_of_serials(lines: list[str], serials: list[str]) -> None:
    assert list(serials_of(lines)) == serials


@pytest.mark.parametrize("lines", [["1234", "numero"], ["1234\n", "12/34\n"], ["1234", "é1234"], ["1234", "1" * 33]])
def test_a_line_that_is_no_serial_refuses_the_file_and_is_not_repeated(lines: list[str]) -> None:
    with pytest.raises(LocalMisuse) as caught:
        list(serials_of([*lines, "5678"]))
    assert caught.value.data == {"line": 2}
    assert lines[1].strip() not in str(caught.value)


#: Entries of a list, and the bytes of each that its import may hold: those of its digest, some of them twice.
MANY, HELD = 100_000, 32


def test_an_import_holds_little_of_a_long_list(tmp_path: Path) -> None:
    lines = (f"{number}\n" for _ in range(2) for number in range(1_000_000, 1_000_000 + MANY // 2))

    async def main() -> None:
        store = Store(tmp_path / "store.db")
        await store.open()
        tracemalloc.start()
        work = replace(VAULT, "site", serials_of(lines), at=1.0)
        count = await store.run(work)
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        await store.close()
        assert (count, held < MANY * HELD) == (MANY // 2, True), held

    asyncio.run(main())


def test_an_import_tells_how_far_it_has_come(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(opposition, "TOLD", -1.0)
    monkeypatch.setattr(opposition, "PIECE", 2)
    told: list[tuple[int, int]] = []

    async def main() -> None:
        store = Store(tmp_path / "store.db")
        await store.open()
        serials = ("1234", "1235", "1236", "1234")

        def tell(done: int, total: int) -> None:
            told.append((done, total))

        assert await store.run(replace(VAULT, "site", serials, at=1.0, told=tell)) == 3
        held = Opposition(store, VAULT)
        await held.refresh()
        assert [held.lists(serial) for serial in (*serials, "1237")] == [True] * 4 + [False]
        await store.close()

    asyncio.run(main())
    assert told == [(1, 0), (2, 0), (3, 0), (4, 0), (2, 3), (3, 3)]


@given(st.lists(st.text(max_size=40), max_size=5))
def test_any_file_gives_serials_or_one_error(lines: list[str]) -> None:
    try:
        found = list(serials_of(lines))
    except LocalMisuse:
        return
    assert len(found) <= len(lines)


@given(st.sets(st.integers(0, 2**64 - 1), max_size=30), st.integers(0, 2**64 - 1))
def test_a_look_up_finds_what_is_there_and_nothing_else(digests: set[int], other: int) -> None:
    listed = array("Q", sorted(digests))
    assert all(opposition.holds(listed, digest) for digest in digests)
    assert opposition.holds(listed, other) == (other in digests)


# ── the daemon ───────────────────────────────────────────────────────────────────────────────────────────────────


def with_serial(serial: str) -> dict[str, Any]:
    return {"record": Record(assure=Assure(numero_serie=serial))}


def test_a_listed_card_is_refused_by_a_daemon_that_runs(counter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(news, "SELDOM", 0.02)

    async def work(line: Any) -> None:
        counter.resolver.changes = with_serial(SERIAL)
        await counter.claims(line, b"before")
        from click.testing import CliRunner

        from vitale_reader.cli.opposition import opposition as command

        root = counter.home.config.parent
        (root / "list.csv").write_text(f"{SERIAL};stolen\n")
        arguments = ["import", str(root / "list.csv"), "--home", str(root), "--json"]
        done = await asyncio.to_thread(CliRunner().invoke, command, arguments)
        assert (done.exit_code, SERIAL in done.output) == (0, False), done.output
        until = time.monotonic() + PATIENCE
        number = 0
        while "result" in (answer := await counter.read(line, f"after-{(number := number + 1)}".encode())):
            assert time.monotonic() < until
        assert (answer["error"]["code"], answer["error"]["data"]["reason"]) == (1213, "opposed")
        assert SERIAL not in str(answer)
        held = counter.resolver.open_contexts
        assert not [name for name in held if name.endswith(f"after-{number}")], "its context is released"
        counter.resolver.changes = with_serial("111111111")
        await counter.claims(line, b"another card")

    counter.run(work)


def test_a_list_whose_name_is_damaged_can_be_cleared_and_imported_again(tmp_path: Path) -> None:
    async def main() -> None:
        store = Store(tmp_path / "store.db")
        await store.open()
        lists = Opposition(store, VAULT)
        await store.run(replace(VAULT, "site", [SERIAL], at=5.0))
        damage = text("UPDATE opposition_lists SET name = CAST(x'ff697465' AS TEXT)")
        await store.run(lambda connection: connection.execute(damage))
        with pytest.raises(StoreUnavailable):
            await lists.refresh()
        await store.run(clear(VAULT))
        await store.run(replace(VAULT, "site", [SERIAL], at=6.0))
        await lists.refresh()
        assert lists.lists(SERIAL)
        await store.close()

    asyncio.run(main())


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_million_entries_take_little_memory_and_microseconds(tmp_path: Path) -> None:
    async def work(store: Store, lists: Opposition) -> None:
        numbers = (str(number) for number in range(100_000_000, 101_000_000))
        assert await store.run(replace(VAULT, "site", numbers, at=0.0)) == 1_000_000
        before = resident()
        await lists.refresh()
        assert resident() - before < 24, "MiB"
        began = time.perf_counter()
        assert all(lists.lists(str(number)) for number in range(100_000_000, 100_010_000))
        assert (time.perf_counter() - began) / 10_000 < 100e-6

    def resident() -> float:
        status = Path("/proc/self/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024

    on(tmp_path / "store.db", work)


@pytest.mark.parametrize(("order", "value"), [("little", 1 << 56), ("big", 1)])
def test_digests_are_in_the_order_of_the_network_on_every_machine(
    monkeypatch: pytest.MonkeyPatch, order: str, value: int
) -> None:
    monkeypatch.setattr(sys, "byteorder", order)
    assert [value] == list(opposition._swapped(array("Q", [1])))
