"""The owner's pairing: what the daemon's own user comes by where no Unix socket listens."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from vitale_protocol.errors import ConfigurationInvalid
from vitale_reader import aio
from vitale_reader.client.pairing import Pairing
from vitale_reader.daemon.config import parse
from vitale_reader.daemon.keystore.private_files import open_to_others
from vitale_reader.daemon.transports.listening import check
from vitale_reader.daemon.transports.owner import of_this_machine
from vitale_reader.home import Endpoints

if TYPE_CHECKING:
    from tests.daemon.conftest import Tools

WITHOUT_UNIX = parse("[drivers]\nenabled = []\n[unix]\nenabled = false\n[tls]\nport = 0")


def owner_of(endpoints: Endpoints) -> Path:
    assert endpoints.unix is None
    assert endpoints.owner is not None
    return Path(endpoints.owner)


def test_the_owner_administers_without_a_unix_socket(tools: "Tools") -> None:
    async def work(endpoints: Endpoints) -> None:
        owner_of(endpoints)
        async with aio.connect(home=tools.home.config.parent) as owner:
            added = await owner.add_client("desk", scopes=("identity",), transports=("tls",))
            assert [one.client_id for one in await owner.clients()] == [added.client_id]
            pairing = Pairing.of(added, address=None)
            async with aio.connect(home=tools.home.config.parent, pairing=pairing) as paired:
                assert await paired.readers() == ()
            assert (await owner.revoke_client(added.client_id)).revoked

    tools.run(work, WITHOUT_UNIX)


def test_the_pairing_is_private_and_gone_with_the_daemon(tools: "Tools") -> None:
    seen = list[Path]()

    async def work(endpoints: Endpoints) -> None:
        seen.append(owner_of(endpoints))
        assert (seen[0].parent, open_to_others(seen[0])) == (tools.home.state, False)

    tools.run(work, WITHOUT_UNIX)
    assert not seen[0].exists()


def test_each_start_makes_another_and_the_former_is_worth_nothing(tools: "Tools", tmp_path: Path) -> None:
    stolen = tmp_path / "stolen.pem"

    async def steal(endpoints: Endpoints) -> None:
        found = json.loads(owner_of(endpoints).read_bytes())
        stolen.write_text(found["certificate"] + found["private_key"])

    async def use(endpoints: Endpoints) -> None:
        assert endpoints.tls is not None
        async with tools.tls_line(endpoints.tls, stolen) as line:
            opening = {"protocol": [1], "client": {"name": "thief", "version": "1"}}
            assert await line.reason("session.open", opening) == "not_authenticated"

    tools.run(steal, WITHOUT_UNIX)
    tools.run(use, WITHOUT_UNIX)


@pytest.mark.posix
def test_where_a_unix_socket_listens_there_is_none(tools: "Tools") -> None:
    async def work(endpoints: Endpoints) -> None:
        assert (endpoints.owner, (tools.home.state / "owner.pairing.json").exists()) == (None, False)

    tools.run(work)


def test_a_daemon_that_nobody_could_reach_is_refused(tools: "Tools") -> None:
    with pytest.raises(ConfigurationInvalid) as refused:
        check(tools.home, parse("[unix]\nenabled = false\n[tls]\nenabled = false"))
    assert refused.value.data == {"path": "tls.enabled"}


@pytest.mark.parametrize(
    ("peer", "own", "expected"),
    [
        (("127.0.0.1", 50_000), ("127.0.0.1", 7816), True),
        (("127.1.2.3", 50_000), ("127.0.0.1", 7816), True),
        (("::1", 50_000, 0, 0), ("::1", 7816, 0, 0), True),
        (("192.168.1.5", 50_000), ("192.168.1.5", 7816), True),
        (("192.168.1.6", 50_000), ("192.168.1.5", 7816), False),
        (("fe80::2%eth0", 50_000, 0, 2), ("fe80::1%eth0", 7816, 0, 2), False),
        (None, ("127.0.0.1", 7816), False),
        ((), (), False),
    ],
)
def test_the_owner_is_on_this_machine(
    peer: tuple[object, ...] | None, own: tuple[object, ...] | None, expected: bool
) -> None:
    assert of_this_machine(peer, own) == expected


def test_the_owners_certificate_is_refused_from_another_machine(
    tools: "Tools", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def elsewhere(*_: Any) -> bool:
        return False

    monkeypatch.setattr("vitale_reader.daemon.transports.tls.of_this_machine", elsewhere)

    async def work(endpoints: Endpoints) -> None:
        found = json.loads(owner_of(endpoints).read_bytes())
        certificate = tmp_path / "owner.pem"
        certificate.write_text(found["certificate"] + found["private_key"])
        assert endpoints.tls is not None
        async with tools.tls_line(endpoints.tls, certificate) as line:
            assert await line.ended()

    tools.run(work, WITHOUT_UNIX)
