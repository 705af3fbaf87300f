"""Verification of tokens for whoever receives them: it returns the claims or raises, and a token counts once."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from vitale_protocol.claims import Claims, Seen
from vitale_protocol.errors import TokenInvalid
from vitale_protocol.records import Origin, ProofMethod
from vitale_reader.client.presentation import several

__all__ = ["SeenTokens", "verify"]

# Tokens that are held before any is looked for that has expired: far beyond any desk, which has them for 600 s at most.
SWEEP = 1000


class SeenTokens:
    """The tokens that were verified already, until they expire. Threads may share it.

    It holds at most ``SWEEP``, or twice as many as ever lived at a time. A service of several processes gives
    ``verify`` its own memory, with the same method over a shared store.

    Args:
        clock: seconds since the epoch.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._expiry: dict[str, float] = {}
        self._sweep_at = SWEEP
        self._lock = threading.Lock()

    def use(self, jti: str, expires_at: float) -> None:
        """Marks a token as used, until ``expires_at`` (seconds since the epoch, the leeway included).

        Raises:
            TokenInvalid: it was used before; ``data.check`` is ``replayed``.
        """
        with self._lock:
            if jti in self._expiry:
                raise TokenInvalid("the token was used before", variant="replayed", data={"check": "replayed"})
            if len(self._expiry) >= self._sweep_at:
                now = self._clock()
                self._expiry = {key: expiry for key, expiry in self._expiry.items() if expiry > now}
                # Each sweep walks all, so that the next one waits until as many have come again.
                self._sweep_at = max(SWEEP, 2 * len(self._expiry))
            self._expiry[jti] = expires_at


# One memory for the process by default, so that the short call is also the safe one.
_seen = SeenTokens()


def verify(
    token: str,
    *,
    jwks: Mapping[str, Any],
    audience: str,
    nonce: str,
    require_origin: Origin | Iterable[Origin] | None = None,
    require_proof: ProofMethod | Iterable[ProofMethod] | None = None,
    seen: Seen | None = None,
    now: float | None = None,
) -> Claims:
    """Verifies a token and returns what it says.

    Checked: type, algorithm (ES256 only), key, signature, claims, audience, nonce, and expiry with 30 s of leeway. A
    token that was verified before is refused. What else your use needs of origin and proof is for you to require.

    Args:
        token: the JWS.
        jwks: the JWK Set of the station, from a trusted place: ``Connection.keys()``, or the pairing of the station.
        audience: the client id that the token must be for.
        nonce: the nonce that was asked with.
        require_origin: the origin accepted, or several; all by default. ``production`` is what a till accepts.
        require_proof: the method of proof accepted, or several; all by default.
        seen: the memory of used tokens; one for the whole process by default.
        now: seconds since the epoch; the clock by default.

    Raises:
        TokenInvalid: ``data.check`` names the check that failed.

    Example:
        ::

            claims = vitale_reader.verify(token, jwks=jwks, audience="c-7f3a…", nonce=nonce)
            print(claims.medium, claims.proof.method)
    """
    from vitale_protocol import tokens  # noqa: PLC0415  joserfc, for those who have a token

    return tokens.verify(
        token,
        jwks,
        audience=audience,
        nonce=nonce,
        now=time.time() if now is None else now,
        require_origin=None if require_origin is None else several(require_origin),
        require_proof=None if require_proof is None else several(require_proof),
        seen=_seen if seen is None else seen,
    )
