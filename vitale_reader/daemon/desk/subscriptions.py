"""A subscription, as its deliveries see it: what a request is answered with becomes a notification.

Its nonce is in every token of it, from its first to its last. It ties a token to this subscription of this client. So a
token of another subscription is not taken for it. It does not date the token: ``iat`` and ``exp`` do, which the station
signs. A token is good for one use, by its ``jti``.
"""

from collections.abc import Hashable
from typing import Protocol

import msgspec

from vitale_protocol.errors import VitaleError
from vitale_protocol.events import PresentationToken, Step
from vitale_protocol.methods import PresentationResult
from vitale_protocol.problems import Problem
from vitale_reader.daemon.fairness.processor_shares import Owner
from vitale_reader.daemon.issuing.issuer import Grant

__all__ = ["Subscriber", "Subscription"]


class Subscriber(Owner, Protocol):
    """A session, as a subscription sees it.

    Attributes:
        number: unique among the sessions of this process.
    """

    number: int

    def presentation_token(self, event: PresentationToken) -> None:
        """The token of a presentation."""

    def presentation_failed(self, subscription: str, error: VitaleError, reader: str | None) -> None:
        """A presentation that gave no token."""

    def subscription_progress(
        self, subscription: str, step: Step, reader: str | None, problem: Problem | None, medium: str
    ) -> None:
        """Notifies of the progress of a presentation."""


class Subscription(msgspec.Struct, frozen=True, eq=False):
    """Subscription of a session, under its name."""

    subscriber: Subscriber
    name: str
    grant: Grant
    reader: str | None = None

    # ── delivery.DeliveryClient ──

    @property
    def owner(self) -> Hashable:
        """The owner whose share is used."""
        return self.subscriber.owner

    @property
    def group(self) -> Hashable:
        """The group whose share is used as well."""
        return self.subscriber.group

    def reply(self, request: int | str, result: PresentationResult) -> None:
        """A presentation gave a token."""
        self.subscriber.presentation_token(
            PresentationToken(
                subscription=self.name, presentation=result.presentation, token=result.token, claims=result.claims
            )
        )

    def fail(self, request: int | str, error: VitaleError) -> None:
        """A presentation gave none."""
        self.subscriber.presentation_failed(self.name, error, self.reader)

    def progress(
        self, request: int | str, step: Step, reader: str | None, problem: Problem | None, medium: str
    ) -> None:
        """Notifies of the progress of a presentation."""
        self.subscriber.subscription_progress(self.name, step, reader, problem, medium)
