"""Single value for a fault or refusal, passed from driver to daemon, between desks, and to the user.

An error is raised; a problem is carried. Each can be made of the other, and the catalogue has a text for both.
"""

from typing import Any

import msgspec

from vitale_protocol.errors import VitaleError, by_reason

__all__ = ["Problem"]


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """A reason of the catalogue, with what is known of it.

    Attributes:
        reason: the ``reason`` of an error class.
        variant: the variant of the catalogue's entry that says more; empty for none.
        detail: one technical sentence in English, without personal data.
        data: further members for programs (``sw``, ``holder``, ``choices`` …), without personal data.
    """

    reason: str
    variant: str = ""
    detail: str = ""
    data: dict[str, Any] = {}

    @classmethod
    def of(cls, error: VitaleError) -> "Problem":
        """The problem in an error."""
        return cls(error.reason, error.variant, error.detail, dict(error.data))

    def error(self, otherwise: type[VitaleError]) -> VitaleError:
        """The error to raise for it; of the class ``otherwise`` where its reason is not known here."""
        return (by_reason(self.reason) or otherwise)(self.detail, variant=self.variant, data=self.data)
