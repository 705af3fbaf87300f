"""A port that is listened on for as long as it is wanted, whatever closes it meanwhile."""

import asyncio
import socket

import pytest

from vitale_reader.daemon.transports import tcp
from vitale_reader.daemon.transports.tcp import TcpListener

PATIENCE = 60.0


class Greeting(asyncio.Protocol):
    """Says a word to whoever connects."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"hello")
        transport.close()


async def heard(address: tuple[str, int]) -> bytes:
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(*address)
        try:
            return await reader.read()
        finally:
            writer.close()


def fail_to_accept(listener: TcpListener) -> None:
    """Does what a loop of Windows does when a connection is gone before it was accepted (known of Python)."""
    loop, server = asyncio.get_running_loop(), listener._servers[0]  # pyright: ignore[reportPrivateUsage]
    told = server.sockets[0]
    real = getattr(told, "_sock")  # noqa: B009  a name of asyncio's own
    if hasattr(loop, "_selector"):
        loop.remove_reader(real.fileno())
    loop.call_exception_handler(
        {"message": "Accept failed on a socket", "exception": OSError(64, "the name is gone"), "socket": told}
    )
    real.close()


def test_a_port_that_the_loop_closed_is_listened_on_again(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        listener = TcpListener("127.0.0.1", 0, Greeting)
        address = await listener.open()
        try:
            for _ in range(3):
                assert await heard(address) == b"hello"
                fail_to_accept(listener)
                assert await heard_again(address) == b"hello"
        finally:
            listener.close()

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
    assert sum("listening on it again" in record.message for record in caplog.records) == 3


async def heard_again(address: tuple[str, int]) -> bytes:
    while True:
        try:
            return await heard(address)
        except ConnectionRefusedError:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("step", ["create_server", "start_serving"])
def test_a_port_that_cannot_be_listened_on_at_first_is_tried_again(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    monkeypatch.setattr(tcp, "AGAIN", 0.0)
    refused = [OSError(98, "another has just taken it")]

    async def main() -> None:
        listener = TcpListener("127.0.0.1", 0, Greeting)
        address = await listener.open()
        owner = asyncio.get_running_loop() if step == "create_server" else asyncio.Server
        real = getattr(owner, step)

        async def refuses_once(*arguments: object, **options: object) -> object:
            if refused:
                raise refused.pop()
            return await real(*arguments, **options)

        monkeypatch.setattr(owner, step, refuses_once)
        try:
            fail_to_accept(listener)
            assert await heard_again(address) == b"hello"
        finally:
            listener.close()

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
    assert not refused


def test_other_faults_of_the_loop_go_to_who_heard_them_before() -> None:
    heard_of = list[str]()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: heard_of.append(context["message"]))
        listener = TcpListener("127.0.0.1", 0, Greeting)
        await listener.open()
        loop.call_exception_handler({"message": "something else"})
        listener.close()
        loop.call_exception_handler({"message": "and afterwards"})

    asyncio.run(main())
    assert heard_of == ["something else", "and afterwards"]


def test_nobody_else_may_listen_there() -> None:
    async def main() -> None:
        listener = TcpListener("127.0.0.1", 0, Greeting)
        host, port = await listener.open()
        try:
            with socket.socket() as other:
                other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                with pytest.raises(OSError, match="in use"):
                    other.bind((host, port))
        finally:
            listener.close()

    asyncio.run(main())


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
def test_who_closes_while_it_is_about_to_listen_again_listens_no_more(steps: int) -> None:
    async def main() -> None:
        listener = TcpListener("127.0.0.1", 0, Greeting)
        address = await listener.open()
        fail_to_accept(listener)
        for _ in range(steps):
            await asyncio.sleep(0)
        listener.close()
        await asyncio.sleep(0)
        with pytest.raises(ConnectionRefusedError):
            await heard(address)

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
