"""Turns at a reader, over the wire: whose requests they are, is known by client, and by program for the own user's."""

import asyncio
import contextlib
import subprocess
import sys
from typing import Any

import pytest

pytestmark = [pytest.mark.posix, pytest.mark.usefixtures("patient")]

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
