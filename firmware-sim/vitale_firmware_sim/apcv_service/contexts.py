"""State of the simulated service: the phones of a scenario, the strings used, the contexts open.

No clock, no randomness, no network; it may be asked by several threads.

Its refusals, by the code that its SOAP faults carry. The codes are the simulator's own, since the real service's list
is not public:

======================  =============================================================================
``ASSERTION_MISSING``   no assertion of a practitioner's card in the header
``REQUEST_INVALID``     not the envelope that the action asks for
``ACTION_UNKNOWN``      no such action
``STRING_UNKNOWN``      not a string of this scenario's phones
``STRING_EXPIRED``      the string is older than ``string_life``, or the phone's standing is ``expired``
``STRING_USED``         the string was used before
``APPLICATION_REVOKED`` the application was revoked: the phone's standing is ``revoked``, or it was lost or replaced
``RIGHTS_SUSPENDED``    the rights are suspended: the phone's standing is ``suspended``
``DELEGATION_ENDED``    the delegation has ended or was withdrawn, under which the string was made
``CONTEXT_UNKNOWN``     no such context, or it has ended
======================  =============================================================================
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from vitale_firmware_sim.phone.application import RECEIPTS_FOR, Receipt
from vitale_firmware_sim.phone.strings import Handle, StringSealer, StringUnknown
from vitale_firmware_sim.scenario import PhoneSettings, Scenario
from vitale_protocol.errors import ConfigurationInvalid
from vitale_protocol.records import Record

__all__ = ["RefusalCode", "ServiceContext", "ServiceContexts", "ServiceRefusal"]

RefusalCode = Literal[
    "ASSERTION_MISSING",
    "REQUEST_INVALID",
    "ACTION_UNKNOWN",
    "STRING_UNKNOWN",
    "STRING_EXPIRED",
    "STRING_USED",
    "APPLICATION_REVOKED",
    "RIGHTS_SUSPENDED",
    "DELEGATION_ENDED",
    "CONTEXT_UNKNOWN",
    "UNPUBLISHED",
]

# A phone's clock may be ahead of the service's.
_SKEW: Final = 30.0

_STANDINGS: Final[dict[str, RefusalCode]] = {
    "expired": "STRING_EXPIRED",
    "revoked": "APPLICATION_REVOKED",
    "suspended": "RIGHTS_SUSPENDED",
}


class ServiceRefusal(Exception):
    """The service says no."""

    def __init__(self, code: RefusalCode) -> None:
        super().__init__(code)
        self.code: RefusalCode = code


@dataclass(frozen=True, slots=True)
class ServiceContext:
    """A context, ``ContexteApCVRepType`` and the rights that come with it.

    Attributes:
        identifiant: names it.
        token: ``tokenApCV``.
        ends: ``dateFinValidite``, seconds since the epoch.
        record: the rights.
        rights_at: seconds since the epoch, when they were as told.
        delegate: who presented the phone for its owner, or empty.
    """

    identifiant: str
    token: str = field(repr=False)
    ends: float
    record: Record = field(repr=False)
    rights_at: float
    delegate: str = field(default="", repr=False)


class ServiceContexts:
    """The memory of the service; any thread may call.

    Args:
        scenario: the phones.
        token: makes an identifier that nobody can guess.
    """

    def __init__(self, scenario: Scenario, token: Callable[[], str]) -> None:
        self._scenario = scenario
        self._token = token
        self._sealer = StringSealer(scenario.secret)
        self._lock = threading.Lock()
        self._used: set[bytes] = set()
        self._open: dict[str, tuple[ServiceContext, Handle]] = {}
        self._revoked: set[str] = set()
        self._withdrawn: set[tuple[str, str]] = set()
        self._receipts: dict[str, list[Receipt]] = {}

    # ── the lives of applications ────────────────────────────────────────────────────────────────────────────────
    # What is open stays open until its end, and can be restored: but nothing more is signed in it for an application
    # that was revoked, or under a delegation that has ended. Both are the simulator's own rules.

    def revoke(self, phone: str) -> None:
        """Revokes the application of a phone, whose loss was declared: its strings are refused, as are those to come.

        Raises:
            ConfigurationInvalid: the scenario has no such phone.
        """
        with self._lock:
            self._revoked.add(self._scenario.phone(phone).id)

    def activate(self, phone: str) -> tuple[str, ...]:
        """Activates the application on a phone; gives the other phones of the same person, which it revokes.

        One application a person is the simulator's own rule.

        Raises:
            ConfigurationInvalid: the scenario has no such phone.
        """
        activated = self._scenario.phone(phone)
        person = activated.owner.nir_certifie
        others = tuple(
            one.id for one in self._scenario.phones if one is not activated and one.owner.nir_certifie == person
        )
        with self._lock:
            self._revoked.discard(activated.id)
            self._revoked.update(others)
        return others

    def delegate(self, owner: str, holder: str) -> None:
        """Hears of a delegation; one that was withdrawn before counts again.

        Raises:
            ConfigurationInvalid: the scenario has no such phone.
        """
        with self._lock:
            self._withdrawn.discard((self._scenario.phone(owner).id, self._scenario.phone(holder).id))

    def withdraw(self, owner: str, holder: str) -> None:
        """Withdraws a delegation: strings made under it are refused, those made before among them.

        Raises:
            ConfigurationInvalid: the scenario has no such phone.
        """
        with self._lock:
            self._withdrawn.add((self._scenario.phone(owner).id, self._scenario.phone(holder).id))

    # ── contexts ─────────────────────────────────────────────────────────────────────────────────────────────────

    def authenticate(self, string: bytes, now: float) -> ServiceContext:
        """The context of a string, which is used up, whatever comes of it once it is genuine.

        Args:
            string: what a phone showed.
            now: seconds since the epoch.

        Raises:
            ServiceRefusal: for one of the reasons of this module.
        """
        handle, phone = self._genuine(string)
        with self._lock:
            if string in self._used:
                raise ServiceRefusal("STRING_USED")
            self._used.add(string)
            self._admit(handle, phone, now)
            context = ServiceContext(
                identifiant=self._token(),
                token=self._token(),
                ends=now + self._scenario.service.context_life,
                record=phone.record(handle.porteur),
                rights_at=now - phone.rights_age_hours * 3600,
                delegate=self._delegate(handle),
            )
            self._open[context.identifiant] = context, handle
            return context

    def restore(self, identifiant: str, now: float) -> ServiceContext:
        """A context once more; without a name the one that was opened last of those that are open.

        Raises:
            ServiceRefusal: ``CONTEXT_UNKNOWN``.
        """
        with self._lock:
            identifiant = identifiant or next(reversed(self._open), "")
            context, _ = self._open.get(identifiant, (None, None))
            if context is None or context.ends <= now:
                self._open.pop(identifiant, None)
                raise ServiceRefusal("CONTEXT_UNKNOWN")
            return context

    def release(self, identifiant: str, now: float) -> None:
        """Ends a context.

        Raises:
            ServiceRefusal: ``CONTEXT_UNKNOWN``.
        """
        self.restore(identifiant, now)
        with self._lock:
            self._open.pop(identifiant, None)

    def sign(self, identifiant: str, receipt: Receipt, now: float) -> str:
        """Signs an invoice in a context, and keeps its receipt for the patient's phone.

        The signature is worth nothing, and says so: what the real one is made of is not public.

        Raises:
            ServiceRefusal: ``CONTEXT_UNKNOWN``, or why the patient signs nothing any more.
        """
        self.restore(identifiant, now)
        with self._lock:
            _, handle = self._open.get(identifiant, (None, None))
            if handle is None:
                raise ServiceRefusal("CONTEXT_UNKNOWN")
            self._require_entitled(handle, now)
            self._receipts.setdefault(handle.owner, []).append(receipt)
        return f"simulated:{self._token()}"

    def receipts(self, phone: str, now: float) -> tuple[Receipt, ...]:
        """Hands the receipts of the last seven days over, once: the application asks for them when it is opened."""
        with self._lock:
            kept = self._receipts.pop(phone, [])
        return tuple(receipt for receipt in kept if now - receipt.at <= RECEIPTS_FOR)

    def open_contexts(self, now: float) -> tuple[str, ...]:
        """The identifiers of the contexts that are open."""
        with self._lock:
            return tuple(one for one, (context, _) in self._open.items() if context.ends > now)

    def _genuine(self, string: bytes) -> tuple[Handle, PhoneSettings]:
        try:
            handle = self._sealer.open(string)
            phone = self._scenario.phone(handle.owner)
            self._scenario.phone(handle.holder)
        except (StringUnknown, ConfigurationInvalid) as error:
            raise ServiceRefusal("STRING_UNKNOWN") from error
        if not 0 <= handle.porteur < len(phone.beneficiaires):
            raise ServiceRefusal("STRING_UNKNOWN")
        return handle, phone

    def _admit(self, handle: Handle, phone: PhoneSettings, now: float) -> None:
        age = now - handle.made_at
        if not -_SKEW <= age < self._scenario.service.string_life:
            raise ServiceRefusal("STRING_EXPIRED")
        if phone.standing in _STANDINGS:
            raise ServiceRefusal(_STANDINGS[phone.standing])
        self._require_entitled(handle, now)

    def _require_entitled(self, handle: Handle, now: float) -> None:
        if handle.holder in self._revoked:
            raise ServiceRefusal("APPLICATION_REVOKED")
        withdrawn = (handle.owner, handle.holder) in self._withdrawn
        if handle.holder != handle.owner and (withdrawn or handle.until <= now):
            raise ServiceRefusal("DELEGATION_ENDED")

    def _delegate(self, handle: Handle) -> str:
        if handle.holder == handle.owner:
            return ""
        person = self._scenario.phone(handle.holder).owner
        return " ".join(filter(None, (person.prenom, person.nom_usuel)))
