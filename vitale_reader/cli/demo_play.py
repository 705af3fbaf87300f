"""What the demonstration does: cards read over Unix socket and TLS, each token verified, and each forgery refused."""

import asyncio
import contextlib
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from vitale_protocol.errors import ReaderUnavailable, TokenInvalid
from vitale_protocol.events import PresentationProgress
from vitale_protocol.methods import Scope
from vitale_protocol.tokens import Claims
from vitale_reader import aio
from vitale_reader.address import TlsAddress
from vitale_reader.cli.stage import Stage
from vitale_reader.cli.text import language
from vitale_reader.pairing import Pairing
from vitale_reader.verification import SeenTokens, verify

__all__ = ["SCENES", "Result", "Scene", "play", "sound"]

# A noisy machine is given time; a working one needs a second or two in all.
PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Scene:
    """A card, the way its token takes, and what the token may say."""

    image: str
    transport: str
    scopes: tuple[Scope, ...]


SCENES = (
    Scene("adulte", "unix", ("identity", "nir")),
    Scene("famille", "tls", ("identity", "nir", "dependants")),
    Scene("date-fictive", "unix", ("identity",)),
)


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a scene.

    Attributes:
        detected_ms: from the daemon's word that a card is there to the verified token in this program.
        again_ms: from a request, the card being there, to the verified token: the median of ``again`` times.
        checks: what a verifier said, ``accepted`` or the check that refused, of the token and of what it must refuse.
    """

    image: str
    transport: str
    token: str
    claims: Claims
    detected_ms: float | None
    again_ms: float
    again: int
    checks: dict[str, str]


async def play(scenery: Stage, repeat: int, show: Callable[[Result], None]) -> list[Result]:
    """Plays every scene, and shows the result of each."""
    results: list[Result] = []
    async with aio.connect(home=scenery.home, language=language(), name="demo") as local:
        pairing = await _pair(local, scenery)
        async with aio.connect(home=scenery.home, pairing=pairing, language=language(), name="demo") as paired:
            connections = {"unix": local, "tls": paired}
            for scene in SCENES if scenery.slot is not None else SCENES[:2]:
                results.append(await _scene(connections[scene.transport], scene, scenery, repeat))
                show(results[-1])
    return results


async def _pair(local: aio.Connection, scenery: Stage) -> Pairing:
    added = await local.add_client("demo", scopes=("identity", "nir", "dependants"), transports=("tls",))
    tls = scenery.endpoints.tls
    return Pairing.of(added, address=None if tls is None else str(TlsAddress(tls.host, tls.port)))


async def _scene(reader: aio.Connection, scene: Scene, scenery: Stage, repeat: int) -> Result:
    detected: list[float] = []

    def on_progress(told: PresentationProgress) -> None:
        if told.step == "detected" and not detected:
            detected.append(time.perf_counter())

    await _until_there_is_a_reader(reader)
    waiting = asyncio.ensure_future(reader.read(scopes=scene.scopes, timeout=PATIENCE, on_progress=on_progress))
    if scenery.slot is not None:
        scenery.slot.insert(scene.image)
    found = await waiting
    finished = time.perf_counter()
    times = [await _timed(reader, scene) for _ in range(repeat)]
    result = Result(
        image=scene.image,
        transport=scene.transport,
        token=found.token,
        claims=found.claims,
        detected_ms=(finished - detected[0]) * 1000 if detected else None,
        again_ms=statistics.median(times) * 1000,
        again=repeat,
        checks=await _checks(reader, found),
    )
    if scenery.slot is not None:
        scenery.slot.remove()
        await reader.wait_until_empty(found.claims.reader.id)
    return result


async def _until_there_is_a_reader(reader: aio.Connection) -> None:
    try:
        async with asyncio.timeout(PATIENCE), contextlib.aclosing(reader.watch()) as changes:
            async for change in changes:
                if change.kind != "removed" and change.reader.state != "unavailable":
                    return
    except TimeoutError as error:
        raise ReaderUnavailable(f"no reader within {PATIENCE:g} s") from error


async def _timed(reader: aio.Connection, scene: Scene) -> float:
    before = time.perf_counter()
    await reader.read(scopes=scene.scopes, timeout=PATIENCE)
    return time.perf_counter() - before


async def _checks(reader: aio.Connection, found: aio.Presentation) -> dict[str, str]:
    """Verifies the token as its receiver would, and five that he has to refuse."""
    jwks, claims = await reader.keys(), found.claims
    head, body, signature = found.token.split(".")
    altered = ".".join((head, body[:-2] + ("A" if body[-2] != "A" else "B") + body[-1], signature))
    seen = SeenTokens()

    def say(token: str, audience: str = claims.aud, nonce: str = claims.nonce, later: float = 0.0) -> str:
        try:
            verify(token, jwks=jwks, audience=audience, nonce=nonce, seen=seen, now=time.time() + later)
        except TokenInvalid as error:
            return str(error.data.get("check", "refused"))
        return "accepted"

    return {
        "token": say(found.token),
        "used_again": say(found.token),
        "altered": say(altered),
        "other_audience": say(found.token, audience="somebody-else"),
        "other_nonce": say(found.token, nonce="0" * 32),
        "next_day": say(found.token, later=86_400),
    }


def sound(results: Sequence[Result]) -> bool:
    """Whether every token was accepted, and everything else refused."""
    return all((said == "accepted") == (name == "token") for one in results for name, said in one.checks.items())
