"""What hostile or clumsy clients, drivers and neighbours may not do to anybody else."""

import asyncio
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.posix import OWN_DOOR
from vitale_drivers.base import Presented, Transmit, Transmitted
from vitale_firmware_sim.card.unix import is_root
from vitale_protocol.errors import ConfigurationInvalid, StoreUnavailable
from vitale_protocol.methods import ClientAdded, OutboxToken, PresentationResult, SessionOpen
from vitale_protocol.records import Assure, Beneficiaire, Record
from vitale_protocol.tokens import Claims
from vitale_reader.daemon import process
from vitale_reader.daemon.app import running
from vitale_reader.daemon.config import parse
from vitale_reader.daemon.issuing.outbox import Outbox
from vitale_reader.daemon.transports import tls
from vitale_reader.daemon.transports.peers import own_uid, uids
from vitale_reader.home import Endpoints, Home

pytestmark = pytest.mark.posix

NONCE = "n" * 22
PATIENCE = 60.0
OPEN = {"jsonrpc": "2.0", "id": 1, "method": "session.open", "params": {"protocol": [1], "client": {"name": "x"}}}


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_how_the_bytes_are_cut_does_not_matter(tools: Any) -> None:
    calls = [OPEN, *({"jsonrpc": "2.0", "id": number, "method": "session.ping"} for number in range(2, 202))]
    everything = b"".join(json.dumps(call).encode() + b"\n" for call in calls)

    async def work(endpoints: Endpoints) -> None:
        for size in (len(everything), 4096, 7):
            async with tools.unix_line(endpoints) as line:
                for start in range(0, len(everything), size):
                    line.writer.write(everything[start : start + size])
                answers = [await line.receive() for _ in calls]
                assert [answer["id"] for answer in answers] == [call["id"] for call in calls]
                assert all("result" in answer for answer in answers)

    tools.run(work)


def test_calls_without_an_id_are_under_the_same_limit(tools: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = 0
    most = 0
    gate = asyncio.Event()

    async def slow(_self: Outbox, _client: str, **_: object) -> tuple[tuple[OutboxToken, ...], None]:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await gate.wait()
        at_once -= 1
        return (), None

    monkeypatch.setattr(Outbox, "page", slow)

    async def work(endpoints: Endpoints) -> None:
        async with tools.unix_line(endpoints) as line, tools.unix_line(endpoints) as other:
            await line.open()
            await other.open()
            for _ in range(5_000):
                line.send({"jsonrpc": "2.0", "method": "outbox.list"})
            await line.result("session.ping")
            await other.result("session.ping")
            assert 0 < most <= 32
            gate.set()

    tools.run(work)


def test_whoever_guesses_is_cut_off(tools: Any) -> None:
    async def work(endpoints: Endpoints) -> None:
        async with tools.unix_line(endpoints) as line:
            for _ in range(3):
                guess = {"protocol": [1], "client": {"name": "x"}, "credential": "guess"}
                assert await line.reason("session.open", guess) == "not_authenticated"
            assert await line.ended()

    tools.run(work)


def test_a_revoked_client_that_does_not_read_is_gone_all_the_same(tools: Any) -> None:
    async def work(endpoints: Endpoints) -> None:
        async with tools.unix_line(endpoints) as admin, tools.unix_line(endpoints) as deaf:
            await admin.open()
            added = await admin.result("clients.add", {"name": "A", "scopes": ["identity"], "transports": ["unix"]})
            await deaf.open(credential=added["credential"])
            deaf.reader._transport.pause_reading()
            for _ in range(1_500):
                deaf.send_call("station.keys")
                await deaf.writer.drain()
            await admin.result("session.ping")
            revoked = await admin.result("clients.revoke", {"client_id": added["client_id"]})
            assert revoked == {"revoked": True, "sessions": 1}
            again = await admin.result("clients.revoke", {"client_id": added["client_id"]})
            assert again == {"revoked": False, "sessions": 0}, "its session is no more"
            deaf.reader._transport.resume_reading()
            assert await deaf.ended()

    tools.run(work)


def test_a_revocation_that_cannot_be_written_can_be_repeated(tools: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from vitale_reader.daemon.store.store import Store

    async def work(endpoints: Endpoints) -> None:
        async with tools.unix_line(endpoints) as admin, tools.unix_line(endpoints) as client:
            await admin.open()
            added = await admin.result("clients.add", {"name": "A", "scopes": ["identity"], "transports": ["unix"]})
            await client.open(credential=added["credential"])

            async def full(_self: Store, _work: object, **_needs: object) -> None:
                raise StoreUnavailable("the disk is full")

            with monkeypatch.context() as broken:
                broken.setattr(Store, "run", full)
                assert await admin.reason("clients.revoke", {"client_id": added["client_id"]}) == "store_unavailable"
            assert await client.ended(), "its sessions end whatever becomes of the store"
            assert (await admin.result("clients.revoke", {"client_id": added["client_id"]}))["revoked"] is True

    tools.run(work)


def test_strangers_who_only_knock_do_not_shut_the_other_doors(tools: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "HANDSHAKE", 2 * PATIENCE)  # the first of them knock still when the last one comes

    async def work(endpoints: Endpoints) -> None:
        assert endpoints.tls is not None
        async with tools.unix_line(endpoints) as line:
            await line.open()
            before = open_files()
            address = (endpoints.tls.host, endpoints.tls.port)
            knocking = await asyncio.to_thread(lambda: [socket.create_connection(address) for _ in range(300)])
            async with asyncio.timeout(PATIENCE):
                while open_files() < before + 600:
                    await line.result("session.ping")
            for one in knocking:
                one.close()
            async with asyncio.timeout(PATIENCE):
                while open_files() > before:
                    await line.result("session.ping")

    tools.run(work)


def test_why_a_driver_cannot_start_is_told(tools: Any) -> None:
    config = parse(f"{OWN_DOOR}[drivers]\nenabled = ['simulated-card']\n[drivers.options.simulated-card]\nmisspelt = 1")

    async def work(endpoints: Endpoints) -> None:
        async with tools.unix_line(endpoints) as line:
            await line.open()
            async with asyncio.timeout(PATIENCE):
                while True:
                    (driver,) = (await line.result("station.info"))["drivers"]
                    if driver["state"] == "stopped":
                        break
                    await asyncio.sleep(0.02)  # what is awaited has no event, and the driver needs the processor
            assert driver["reason"] == "configuration_invalid"
            assert "misspelt" in driver["detail"]

    tools.run(work, config)


def test_a_daemon_that_cannot_listen_says_so_and_ends(tools: Any, tmp_path: Path) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            config = parse(f"[drivers]\nenabled = ['simulated-card']\n[tls]\nport = {port}")
            for number in range(3):
                async with asyncio.timeout(PATIENCE):
                    with pytest.raises(ConfigurationInvalid) as told:
                        async with running(Home.under(tmp_path / str(number)), config):
                            pytest.fail("it cannot have started")
                assert str(port) in str(told.value)

    asyncio.run(main())


def test_every_file_is_for_its_owner_only(tools: Any) -> None:
    umask = os.umask(0o022)

    async def work(endpoints: Endpoints) -> None:
        async with tools.unix_line(endpoints) as line:
            await line.open()
            await line.result("outbox.list")
            for folder in (tools.home.run, tools.home.state):
                for file in folder.rglob("*"):
                    if not file.is_dir():
                        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file

    try:
        tools.run(work)
    finally:
        os.umask(umask)


@pytest.fixture
def open_folder() -> Generator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="vitale-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(not is_root(), reason="speaking as another user of the machine needs the administrator's rights")
def test_other_users_come_in_where_they_are_named(open_folder: Path) -> None:
    program = (
        "import json, socket, sys\n"
        "client = socket.socket(socket.AF_UNIX); client.connect(sys.argv[1])\n"
        f"client.sendall(json.dumps({OPEN!r}).encode() + b'\\n')\n"
        "print((client.recv(65536) or b'{}').decode())\n"
    )

    def speak_as_nobody(endpoints: Endpoints) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ("/usr/bin/env", "python3", "-c", program, endpoints.unix or ""),
            user="nobody",
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": "/usr/bin:/bin"},
        )

    async def main(users: str, name: str) -> subprocess.CompletedProcess[str]:
        config = parse(f"[unix]\nusers = [{users}]\n[drivers]\nenabled = []\n{OWN_DOOR}")
        async with running(Home.under(open_folder / name), config) as endpoints:
            return await asyncio.to_thread(speak_as_nobody, endpoints)

    assert [own_uid()] != uids(["nobody"])
    (open_folder / "named").mkdir(mode=0o711)
    (open_folder / "unnamed").mkdir(mode=0o711)
    named = asyncio.run(main('"nobody"', "named"))
    assert json.loads(named.stdout)["error"]["data"]["reason"] == "not_authenticated", (
        "heard, and asked for a credential"
    )
    unnamed = asyncio.run(main("", "unnamed"))
    assert "PermissionError" in unnamed.stderr


def test_nothing_private_shows_in_a_repr() -> None:
    canary = "CANARY"
    person = Beneficiaire(nom_usuel=canary, nir=canary)
    shown = [
        person,
        Record(assure=Assure(nir=canary), beneficiaires=(person,)),
        OutboxToken(jti="j", exp=1, token=canary),
        ClientAdded(client_id="c", credential=canary, private_key=canary),
        Presented(id="1", medium="m", reader="r", at=0.0, evidence={"nir": canary.encode()}, simulated=True),
        Transmit(id=1, reader="r", apdus=(canary.encode(),)),
        Transmitted(id=1, responses=(canary.encode(),)),
    ]
    assert canary not in repr(shown)
    for kind in (SessionOpen, PresentationResult, Claims):
        assert kind.__repr__ is type(person).__repr__


if sys.platform != "win32":

    @pytest.mark.posix
    def test_as_many_files_as_the_system_allows_may_be_open() -> None:
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        lower = min(soft, 1_024) if soft != resource.RLIM_INFINITY else 1_024
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (lower, hard))
            process.raise_file_limit()
            allowed = process.MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, process.MOST_FILES)
            assert max(allowed, lower) == process.file_limit()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
