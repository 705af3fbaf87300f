"""The user at the other end of a loopback connection, as two sources of the kernel tell it."""

import socket
import sys

import pytest

from tests.posix import AS_ROOT, NOBODY, acting_as
from vitale_reader.daemon.transports.peers import own_uid
from vitale_reader.web import peer_users
from vitale_reader.web.peer_users import is_other_user, peer_uid

pytestmark = [
    pytest.mark.posix,
    pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell"),
    pytest.mark.parametrize("host", ["127.0.0.1", "::1"]),
    pytest.mark.parametrize("asks", [True, False], ids=["asked", "listed"]),
]


@pytest.fixture(autouse=True)
def source(monkeypatch: pytest.MonkeyPatch, asks: bool) -> None:
    """Has the kernel asked, or, as where it does not answer, its table read."""

    def refused(*_: object) -> None:
        raise PermissionError

    if not asks:
        monkeypatch.setattr(peer_users, "_asked", refused)


def listening(host: str) -> socket.socket:
    try:
        return socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError:
        pytest.skip("this machine has no IPv6")


def test_it_is_the_user_whose_program_holds_the_socket(host: str) -> None:
    with (
        listening(host) as listener,
        socket.create_connection(listener.getsockname()[:2]) as client,
        listener.accept()[0] as accepted,
    ):
        assert own_uid() == peer_uid(accepted)
        assert not is_other_user(peer_uid(accepted))
        client.shutdown(socket.SHUT_WR)
        assert own_uid() == peer_uid(accepted)


def test_a_program_that_dials_ipv4_by_a_socket_of_ipv6_is_the_same(host: str) -> None:
    """Runtimes of Java and .NET have one socket for both."""
    try:
        client = socket.socket(socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with client, listening(host) as listener:
        client.connect((host if ":" in host else f"::ffff:{host}", listener.getsockname()[1]))
        with listener.accept()[0] as accepted:
            assert own_uid() == peer_uid(accepted)


def test_a_socket_that_nobody_holds_is_nobodys(host: str) -> None:
    with listening(host) as listener:
        client = socket.create_connection(listener.getsockname()[:2])
        with listener.accept()[0] as accepted:
            client.close()
            assert peer_uid(accepted) is None
            assert is_other_user(None)


@AS_ROOT
def test_another_user_is_told_from_this_one(host: str) -> None:
    with listening(host) as listener:
        with acting_as(NOBODY):
            client = socket.create_connection(listener.getsockname()[:2])
        with client, listener.accept()[0] as accepted:
            assert NOBODY == peer_uid(accepted)
            assert is_other_user(NOBODY)
