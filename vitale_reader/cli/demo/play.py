"""Course of the demonstration: cards, phones and codes read over Unix socket and TLS, tokens and forgeries verified."""

import asyncio
import contextlib
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from vitale_protocol.claims import Claims
from vitale_protocol.errors import ReaderUnavailable, TokenInvalid
from vitale_protocol.events import PresentationProgress
from vitale_protocol.methods import Scope
from vitale_reader import aio
from vitale_reader.cli.demo.codes import Glances
from vitale_reader.cli.demo.environment import DemoEnvironment
from vitale_reader.cli.demo.phone import Taps
from vitale_reader.cli.frame.language import language
from vitale_reader.client.address import TlsAddress
from vitale_reader.client.pairing import Pairing
from vitale_reader.client.verification import SeenTokens, verify

__all__ = ["SCENES", "DemoScene", "Place", "SceneResult", "play", "scenes", "sound"]

# A noisy machine is given time; a working one needs a second or two in all.
PATIENCE = 30.0

Place = Literal["slot", "nfc", "contactless", "camera", "imager"]
"""A card's slot, an NFC reader, a contactless PC/SC reader, a webcam, and a handheld imager."""


@dataclass(frozen=True, slots=True)
class DemoScene:
    """Presentation to play: its medium and place, the way of its token, and the claims expected.

    Attributes:
        name: an image of a card, or the owner of a phone or of a paper.
        present_for: who delegated to the phone's owner; empty for nobody.
        paper: whether the code is on a paper, and not on the screen of a phone.
    """

    name: str
    place: Place
    transport: str
    scopes: tuple[Scope, ...]
    present_for: str = ""
    paper: bool = False


SCENES = (
    DemoScene("adulte", "slot", "unix", ("identity", "nir")),
    DemoScene("famille", "slot", "tls", ("identity", "nir", "dependants")),
    DemoScene("date-fictive", "slot", "unix", ("identity",)),
    DemoScene("claire", "nfc", "tls", ("identity", "nir", "rights", "context")),
    DemoScene("paul", "contactless", "unix", ("identity", "rights"), present_for="claire"),
    DemoScene("claire", "camera", "tls", ("identity", "context")),
    DemoScene("paul", "imager", "unix", ("identity", "rights")),
    DemoScene("claire", "imager", "unix", ("identity", "nir"), paper=True),
)


class SceneResult(msgspec.Struct, frozen=True, kw_only=True):
    """Result of a scene.

    Attributes:
        name: the image of the card, or the owner of the phone or of the paper.
        detected_ms: from the daemon's word that a medium is there to the verified token in this program.
        again_ms: to the verified token, the median of ``again`` times. For a card in place it counts from the request.
            For a phone it counts from the tap, for a code from the moment it is shown.
        checks: a verifier's verdicts on the token and on forgeries: ``accepted``, or the check that refused. For a
            phone and its code, also the daemon's verdict on a used string.
    """

    name: str
    place: Place
    transport: str
    token: str
    claims: Claims
    detected_ms: float | None
    again_ms: float
    again: int
    checks: dict[str, str]


async def play(environment: DemoEnvironment, repeat: int, show: Callable[[SceneResult], None]) -> list[SceneResult]:
    """Plays every scene for which there is a place, and shows the result of each."""
    results: list[SceneResult] = []
    async with aio.connect(home=environment.home, language=language(), name="demo") as local:
        pairing = await _pair(local, environment)
        async with aio.connect(home=environment.home, pairing=pairing, language=language(), name="demo") as paired:
            connections = {"unix": local, "tls": paired}
            # Without Unix sockets its own user comes over TLS as well.
            ways = {"unix": "tls" if environment.endpoints.unix is None else "unix", "tls": "tls"}
            for scene in scenes(environment):
                reader = connections[scene.transport]
                result = await PLAYED[scene.place](reader, scene, environment, repeat)
                results.append(msgspec.structs.replace(result, transport=ways[scene.transport]))
                show(results[-1])
    return results


def scenes(environment: DemoEnvironment) -> tuple[DemoScene, ...]:
    """Scenes for which the environment has a place; a card that cannot be changed is read twice."""
    cards = tuple(scene for scene in SCENES if scene.place == "slot")
    found = cards if environment.slot is not None else cards[:2]
    there = set(environment.codes.places if environment.codes else ())
    if environment.phones is not None:
        there |= {"nfc"} if environment.phones.reader is not None else set()
        there |= {"contactless"} if environment.contactless is not None else set()
    return found + tuple(scene for scene in SCENES if scene.place in there)


PAIRED: tuple[Scope, ...] = ("identity", "nir", "dependants", "rights", "context")


async def _pair(local: aio.Connection, environment: DemoEnvironment) -> Pairing:
    added = await local.add_client("demo", scopes=PAIRED, transports=("tls",))
    tls = environment.endpoints.tls
    return Pairing.of(added, address=None if tls is None else str(TlsAddress(tls.host, tls.port)))


async def _card(reader: aio.Connection, scene: DemoScene, environment: DemoEnvironment, repeat: int) -> SceneResult:
    detected: list[float] = []

    def on_progress(told: PresentationProgress) -> None:
        if told.step == "detected" and not detected:
            detected.append(time.perf_counter())

    await _until_there_is_a_reader(reader, environment.driver)
    waiting = asyncio.ensure_future(
        reader.read(media=["vitale-card"], scopes=scene.scopes, timeout=PATIENCE, on_progress=on_progress)
    )
    if environment.slot is not None:
        environment.slot.insert(scene.name)
    found = await waiting
    finished = time.perf_counter()
    times = [await _timed(reader, scene) for _ in range(repeat)]
    checks = await _checks(reader, found)
    if environment.slot is not None:
        environment.slot.remove()
        await reader.wait_until_empty(found.claims.reader.id)
    return _result(scene, found, (detected[0] if detected else None, finished), times, checks)


async def _phone(reader: aio.Connection, scene: DemoScene, environment: DemoEnvironment, repeat: int) -> SceneResult:
    taps = Taps.at(reader, environment, scene.place, scene.scopes, PATIENCE)
    await _until_there_is_a_reader(reader, taps.driver)
    phone = taps.phones.phone(scene.name, scene.present_for)
    found = await taps.tap(phone)
    moments = taps.steps.get("detected"), taps.finished
    used = phone.last
    times = await taps.repeated(phone, repeat)
    checks = {**await _checks(reader, found), "same_string": await taps.refusal(taps.phones.copy(used))}
    return _result(scene, found, moments, times, checks)


async def _code(reader: aio.Connection, scene: DemoScene, environment: DemoEnvironment, repeat: int) -> SceneResult:
    if environment.codes is None:
        raise ReaderUnavailable("the stage has no codes")
    symbology = "datamatrix" if scene.paper else "qr"
    glances = Glances.at(reader, environment, scene.place, symbology, (scene.scopes, PATIENCE))
    await _until_there_is_a_reader(reader, glances.driver)
    paper = environment.codes.paper(scene.name)
    following: Callable[[], bytes] = (lambda: paper) if scene.paper else environment.codes.screen(scene.name).renewed
    used = following()
    found = await glances.read(used)
    moments = glances.steps.get("detected"), glances.finished
    times = await glances.repeated(following, repeat)
    checks = await _checks(reader, found)
    if not scene.paper:
        # A paper may be shown as often as one likes: it proves nothing the first time either.
        checks["same_string"] = await glances.refusal(used)
    await glances.clear()
    return _result(scene, found, moments, times, checks)


PLAYED: Mapping[Place, Callable[[aio.Connection, DemoScene, DemoEnvironment, int], Awaitable[SceneResult]]] = {
    "slot": _card,
    "nfc": _phone,
    "contactless": _phone,
    "camera": _code,
    "imager": _code,
}


def _result(
    scene: DemoScene,
    found: aio.Presentation,
    moments: tuple[float | None, float],
    times: Sequence[float],
    checks: dict[str, str],
) -> SceneResult:
    detected, finished = moments
    return SceneResult(
        name=scene.name,
        place=scene.place,
        transport=scene.transport,
        token=found.token,
        claims=found.claims,
        detected_ms=None if detected is None else (finished - detected) * 1000,
        again_ms=statistics.median(times) * 1000,
        again=len(times),
        checks=checks,
    )


async def _until_there_is_a_reader(reader: aio.Connection, driver: str) -> None:
    try:
        async with asyncio.timeout(PATIENCE), contextlib.aclosing(reader.watch()) as changes:
            async for change in changes:
                there = change.kind != "removed" and change.reader.state != "unavailable"
                if there and change.reader.driver == driver:
                    return
    except TimeoutError as error:
        raise ReaderUnavailable(f"no reader of {driver} within {PATIENCE:g} s") from error


async def _timed(reader: aio.Connection, scene: DemoScene) -> float:
    before = time.perf_counter()
    await reader.read(media=["vitale-card"], scopes=scene.scopes, timeout=PATIENCE)
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


def sound(results: Sequence[SceneResult]) -> bool:
    """True if every token was accepted, and everything else refused."""
    return all((said == "accepted") == (name == "token") for one in results for name, said in one.checks.items())
