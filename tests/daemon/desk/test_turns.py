"""Turns at a reader, over the wire: whose requests they are, is known by client, and by program for the own user's."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Generator, Hashable
from typing import Any

import pytest

from vitale_reader.daemon import dispatcher
from vitale_reader.daemon.desk import deliveries

pytestmark = [pytest.mark.posix, pytest.mark.usefixtures("patient")]

OPEN = {"protocol": [1], "client": {"name": "test", "version": "1"}}
WANTED = {"nonce": "t" * 22, "media": ["apcv-nfc"], "scopes": ["identity"]}
MANY = 5

#: Another program of the same user: asks once, says so, and waits for its token.
PROGRAM = """
import json, socket, sys
line = socket.socket(socket.AF_UNIX)
line.connect(sys.argv[1])
stream = line.makefile("rw")
def say(number, method, **params):
    stream.write(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}) + "\\n")
    stream.flush()
say(1, "session.open", protocol=[1], client={"name": "other", "version": "1"})
say(2, "presentation.request", nonce="o" * 22, media=["apcv-nfc"], scopes=["identity"])
for message in map(json.loads, stream):
    if message.get("method") == "presentation.progress" and message["params"]["step"] == "armed":
        print("waits", flush=True)
    if message.get("id") == 2:
        print("result" in message, flush=True)
        break
"""


#: Another program of the same user: opens a session, with a credential where it has one, and says why not.
OPENS = """
import json, socket, sys
line = socket.socket(socket.AF_UNIX)
line.connect(sys.argv[1])
stream = line.makefile("rw")
told = {"protocol": [1], "client": {"name": "other", "version": "1"}, "credential": sys.argv[2] or None}
stream.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "session.open", "params": told}) + "\\n")
stream.flush()
print(json.loads(stream.readline()).get("error", {}).get("data", {}).get("limit", "opened"), flush=True)
"""


@pytest.mark.parametrize("paired", [False, True])
def test_a_program_of_the_own_user_with_many_sessions_leaves_those_of_another(counter: Any, paired: bool) -> None:
    """As for a paired client: all its sessions are its own, whichever program opened them."""

    async def work(line: Any) -> None:
        credential = (await counter.paired(line))["credential"] if paired else None
        endpoints = counter.home.endpoints()
        async with contextlib.AsyncExitStack() as stack:
            lines = [await stack.enter_async_context(counter.tools.unix_line(endpoints)) for _ in range(3)]
            answers = [await each.call("session.open", OPEN | {"credential": credential}) for each in lines]
            assert "sessions" == answers[-1]["error"]["data"]["limit"]
            given = ("-c", OPENS, str(endpoints.unix), credential or "")
            other = await asyncio.create_subprocess_exec(sys.executable, *given, stdout=subprocess.PIPE)
            assert (b"sessions\n" if paired else b"opened\n") == (await other.communicate())[0]

    counter.run(work, counter.config(rest="[limits]\nsessions = 2"))


def test_the_store_s_turns_are_by_program_too(counter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    payers: list[Hashable] = []

    @contextlib.contextmanager
    def paid_by(payer: Hashable) -> Generator[None]:
        payers.append(payer)
        yield

    for module in (dispatcher, deliveries):
        monkeypatch.setattr(module, "paid_by", paid_by)

    async def work(line: Any) -> None:
        await counter.claims(line, b"VITALESIM.one", **WANTED)

    counter.run(work)
    assert 3 <= len(payers), "the opening, the request and its delivery"
    assert [True] == [str(payer).startswith(f"process {os.getpid()} of user ") for payer in {*payers}]


def test_a_paired_client_with_many_requests_leaves_turns_to_the_other(counter: Any) -> None:
    async def work(line: Any) -> None:
        pairing = await counter.paired(line)
        async with counter.tools.unix_line(counter.home.endpoints()) as many:
            await many.open(credential=pairing["credential"])
            requests = [await counter.ask(many, **WANTED) for _ in range(MANY)]
            other = await counter.ask(line, **WANTED)
            counter.tap(b"VITALESIM.first")
            assert "result" in await many.answer(requests[0])
            counter.tap(b"VITALESIM.second")
            assert "result" in await line.answer(other)

    counter.run(work)


def test_a_program_of_the_own_user_with_many_requests_leaves_turns_to_another(counter: Any) -> None:
    async def work(line: Any) -> None:
        requests = [await counter.ask(line, **WANTED) for _ in range(MANY)]
        endpoint = str(counter.home.endpoints().unix)
        given = ("-c", PROGRAM, endpoint)
        other = await asyncio.create_subprocess_exec(sys.executable, *given, stdout=subprocess.PIPE)
        assert other.stdout is not None
        try:
            assert b"waits\n" == await other.stdout.readline()
            counter.tap(b"VITALESIM.first")
            assert "result" in await line.answer(requests[0])
            counter.tap(b"VITALESIM.second")
            async with asyncio.timeout(20):
                assert b"True\n" == await other.stdout.readline()
        finally:
            with contextlib.suppress(ProcessLookupError):
                other.kill()
            await other.wait()

    counter.run(work)
