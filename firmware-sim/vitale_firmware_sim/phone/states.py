"""The states of the apCV application as a table, and the two that time alone ends.

An event whose key is missing from the table is refused.

====================  =========================================================================================
``new``               installed; wants the NIR and the code that came by e-mail, or France Identité
``identified``        wants the identity document and the face
``pending``           both sent; an operator decides within 48 h, else they are to be sent again
``accepted``          wants a code of four digits, and whether biometrics are to be used
``locked``            activated; nothing is shown, and nothing answers over NFC
``unlocked``          for a while, by code or biometrics: shows a QR code that renews itself, answers over NFC
``blocked``           three wrong codes; the way out is to identify oneself again
                      a loss that was declared, or a second phone, revokes it: it is ``new`` again
====================  =========================================================================================
"""

from collections.abc import Mapping
from typing import Final, Literal

from vitale_firmware_sim.phone.card import PhoneRefusal
from vitale_protocol.errors import JsonValue

__all__ = ["DECIDED_WITHIN", "TABLE", "UNLOCKED_FOR", "Event", "PhoneState", "PhoneStates"]

PhoneState = Literal["new", "identified", "pending", "accepted", "locked", "unlocked", "blocked"]
Event = Literal[
    "identify", "france_identite", "send", "accept", "refuse", "lapse", "activate", "unlock", "lock", "block", "revoke"
]

DECIDED_WITHIN: Final = 48 * 3600.0
UNLOCKED_FOR: Final = 180.0

TABLE: Final[Mapping[tuple[PhoneState, Event], PhoneState]] = {
    ("new", "identify"): "identified",
    ("new", "france_identite"): "accepted",
    ("identified", "france_identite"): "accepted",
    ("identified", "send"): "pending",
    ("pending", "accept"): "accepted",
    ("pending", "refuse"): "identified",
    ("pending", "lapse"): "identified",
    ("accepted", "activate"): "locked",
    ("locked", "unlock"): "unlocked",
    ("locked", "block"): "blocked",
    ("unlocked", "unlock"): "unlocked",
    ("unlocked", "block"): "blocked",
    ("unlocked", "lock"): "locked",
    ("blocked", "identify"): "identified",
    ("blocked", "france_identite"): "accepted",
    ("locked", "revoke"): "new",
    ("unlocked", "revoke"): "new",
    ("blocked", "revoke"): "new",
}

# What ends by itself: after so many seconds, this event.
_TIMES: Final[Mapping[PhoneState, tuple[float, Event]]] = {
    "pending": (DECIDED_WITHIN, "lapse"),
    "unlocked": (UNLOCKED_FOR, "lock"),
}


class PhoneStates:
    """State of a phone in the table.

    Args:
        state: where it begins.
    """

    def __init__(self, state: PhoneState) -> None:
        self._state: PhoneState = state
        self._since = 0.0

    def now(self, now: float) -> PhoneState:
        """The state, after what time alone has changed."""
        lasts, event = _TIMES.get(self._state, (float("inf"), "lapse"))
        if now - self._since >= lasts:
            self._state = TABLE[self._state, event]
        return self._state

    def check(self, event: Event, now: float) -> None:
        """Refuses an event that may not come now.

        Raises:
            PhoneRefusal: ``not_now``.
        """
        if (self.now(now), event) not in TABLE:
            raise self.refusal("not_now")

    def go(self, event: Event, now: float) -> None:
        """An event comes.

        Raises:
            PhoneRefusal: ``not_now``.
        """
        self.check(event, now)
        self._state = TABLE[self._state, event]
        self._since = now

    def must_be_unlocked(self, now: float) -> None:
        """Refuses unless the phone is unlocked, as for all that is shown or answered.

        Raises:
            PhoneRefusal: ``not_now``.
        """
        if self.now(now) != "unlocked":
            raise self.refusal("not_now")

    def refusal(self, why: str, **more: JsonValue) -> PhoneRefusal:
        """The error for a refusal of the phone."""
        return PhoneRefusal(f"the phone is {self._state}: {why}", data={"state": self._state, "why": why, **more})
