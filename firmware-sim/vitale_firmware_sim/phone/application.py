"""The apCV application on a simulated phone, as its users meet it: enrolled, unlocked, shown, delegated; with no clock.

Refusals are ``PhoneRefusal`` with ``data.state`` and one of these words in ``data.why``:

``not_now``, ``nir_wrong``, ``email_code_wrong``, ``too_young``, ``no_account``, ``code_format``, ``code_wrong`` (with
``data.left``), ``biometrics_off``, ``nobody``, ``delegation_too_long``, ``delegation_unknown``, ``delegation_ended``.

Public facts behind it: enrolment and its 48 hours, age 16, and an account of one's own. The France Identité short cut
is public too, and so is unlocking by code or biometrics. So are delegation and its withdrawal, revocation, and receipts
for seven days. The time it stays unlocked and the renewal of the QR code are not public. Those figures are the
simulator's.
"""

import datetime as dt
import re
from dataclasses import dataclass, field, replace
from typing import Final

from vitale_firmware_sim.phone.states import PhoneState, PhoneStates
from vitale_firmware_sim.phone.strings import Handle, RandomBytes, StringSealer
from vitale_firmware_sim.scenario import PhoneSettings, Scenario
from vitale_protocol.media.medium import NIR_KEY_MISMATCH
from vitale_protocol.media.nir import read_nir
from vitale_protocol.records import Record

__all__ = ["ActiveDelegation", "Phone", "QrCode", "Receipt", "phones"]

HOUR: Final = 3600.0
RECEIPTS_FOR: Final = 7 * 24 * HOUR
LONGEST_DELEGATION: Final = 31 * 24 * HOUR
QR_RENEWS_EVERY: Final = 30.0
TRIES: Final = 3
_MINORITY: Final = 16


@dataclass(frozen=True, slots=True)
class QrCode:
    """Code on the screen: the string, and its end (seconds since the epoch)."""

    string: bytes = field(repr=False)
    renews_at: float


@dataclass(frozen=True, slots=True)
class ActiveDelegation:
    """Delegation: the phone ``holder`` may present for the owner of ``owner``, until ``until`` (epoch seconds)."""

    owner: str
    holder: str
    until: float


@dataclass(frozen=True, slots=True)
class Receipt:
    """Receipt of a consultation, as its patient sees it: time (epoch seconds), practitioner, amount (cents)."""

    at: float
    practitioner: str = field(repr=False)
    cents: int = field(repr=False)


class Phone:
    """The application of one phone. Every ``now`` is in seconds since the epoch and never goes back.

    Args:
        settings: whose phone it is; a phone that is ``active`` there begins ``locked``.
        sealer: makes the strings that the service of the scenario understands.
        random: for the strings.
    """

    def __init__(self, settings: PhoneSettings, sealer: StringSealer, random: RandomBytes) -> None:
        self.settings = settings
        self._sealer = sealer
        self._random = random
        self._states = PhoneStates("locked" if settings.state == "active" else "new")
        self._code = settings.code if settings.state == "active" else ""
        self._biometrics = settings.state == "active" and settings.biometrics
        self._left = TRIES
        self._porteur = 0
        self._presents: ActiveDelegation | None = None
        self._grants: dict[str, ActiveDelegation] = {}
        self._given: dict[str, ActiveDelegation] = {}
        self._receipts: list[Receipt] = []
        self._qr: QrCode | None = None

    def state(self, now: float) -> PhoneState:
        """The state, after what time alone has changed."""
        return self._states.now(now)

    # ── enrolment ────────────────────────────────────────────────────────────────────────────────────────────────

    def identify(self, nir: str, email_code: str, now: float) -> None:
        """The NIR with its key, and the code that the health insurance sent by e-mail.

        Raises:
            PhoneRefusal: ``nir_wrong``, ``email_code_wrong``, ``too_young``, ``no_account``, ``not_now``.
        """
        self._states.check("identify", now)
        self._check_conditions(now)
        owner = self.settings.owner
        known = (owner.nir_certifie, owner.cle_nir_certifie)
        shown = read_nir(nir)
        if NIR_KEY_MISMATCH in shown.warnings or (shown.number, shown.key) != known:
            raise self._states.refusal("nir_wrong")
        if email_code != self.settings.email_code:
            raise self._states.refusal("email_code_wrong")
        self._states.go("identify", now)

    def france_identite(self, now: float) -> None:
        """The short cut: the identity card's own application vouches, nobody has to decide.

        Raises:
            PhoneRefusal: ``too_young``, ``no_account``, ``not_now``.
        """
        self._states.check("france_identite", now)
        self._check_conditions(now)
        self._states.go("france_identite", now)

    def send_document_and_face(self, now: float) -> None:
        """Sends pictures of the identity document and of the face to the operator.

        Raises:
            PhoneRefusal: ``not_now``.
        """
        self._states.go("send", now)

    def decide(self, now: float, *, document: bool, face: bool) -> None:
        """The operator's word on the two; what is refused can be sent again.

        Raises:
            PhoneRefusal: ``not_now``; also when the 48 hours are over.
        """
        self._states.go("accept" if document and face else "refuse", now)

    def activate(self, code: str, now: float, *, biometrics: bool = False) -> None:
        """Chooses the code.

        Raises:
            PhoneRefusal: ``code_format`` where it is not four digits, ``not_now``.
        """
        self._states.check("activate", now)
        if not re.fullmatch(r"[0-9]{4}", code, re.ASCII):
            raise self._states.refusal("code_format")
        self._states.go("activate", now)
        self._code, self._biometrics, self._left = code, biometrics, TRIES

    # ── locking ──────────────────────────────────────────────────────────────────────────────────────────────────

    def unlock(self, code: str, now: float) -> None:
        """Unlocks by the code; the third wrong one in a row blocks.

        Raises:
            PhoneRefusal: ``code_wrong``, ``not_now``.
        """
        self._states.check("unlock", now)
        if code != self._code:
            self._left -= 1
            if self._left == 0:
                self._states.go("block", now)
            raise self._states.refusal("code_wrong", left=self._left)
        self._states.go("unlock", now)
        self._left, self._qr = TRIES, None

    def unlock_by_biometrics(self, now: float) -> None:
        """Unlocks by the owner's face or finger.

        Raises:
            PhoneRefusal: ``biometrics_off``, ``not_now``.
        """
        self._states.check("unlock", now)
        if not self._biometrics:
            raise self._states.refusal("biometrics_off")
        self._states.go("unlock", now)
        self._left, self._qr = TRIES, None

    def lock(self, now: float) -> None:
        """Locks, before the time is over.

        Raises:
            PhoneRefusal: ``not_now``.
        """
        self._states.go("lock", now)

    # ── presenting ───────────────────────────────────────────────────────────────────────────────────────────────

    def tap(self, now: float) -> bytes:
        """The string for one reading over NFC; a new one each time.

        Raises:
            PhoneRefusal: ``not_now`` while it is not unlocked, ``delegation_ended``.
        """
        self._states.must_be_unlocked(now)
        return self._sealer.seal(self._handle(now), self._random)

    def qr(self, now: float) -> QrCode:
        """Returns the code on the screen; its string stays the same until it renews itself.

        Raises:
            PhoneRefusal: as for ``tap``.
        """
        self._states.must_be_unlocked(now)
        handle = self._handle(now)
        if self._qr is None or now >= self._qr.renews_at:
            self._qr = QrCode(self._sealer.seal(handle, self._random), now + QR_RENEWS_EVERY)
        return self._qr

    def record(self, now: float) -> Record:
        """The owner's card on the screen, with rights as they are now and the chosen person as its holder.

        Raises:
            PhoneRefusal: ``not_now`` while it is not unlocked.
        """
        self._states.must_be_unlocked(now)
        return self.settings.record(self._porteur)

    def choose(self, porteur: int, now: float) -> None:
        """Shows the card of the owner (0) or of a dependant, by the place among the beneficiaries.

        Raises:
            PhoneRefusal: ``nobody``, ``not_now``.
        """
        self._states.must_be_unlocked(now)
        if not 0 <= porteur < len(self.settings.beneficiaires):
            raise self._states.refusal("nobody")
        self._porteur, self._presents, self._qr = porteur, None, None

    # ── delegation ───────────────────────────────────────────────────────────────────────────────────────────────

    def delegate(self, holder: str, now: float, *, hours: float) -> ActiveDelegation:
        """Lets another phone present for this one's owner; the grant is for that phone's ``receive``.

        Raises:
            PhoneRefusal: ``delegation_too_long``, ``nobody`` where it is this phone, ``not_now``.
        """
        self._states.must_be_unlocked(now)
        if holder == self.settings.id:
            raise self._states.refusal("nobody")
        if not 0 < hours * HOUR <= LONGEST_DELEGATION:
            raise self._states.refusal("delegation_too_long")
        return self._give(ActiveDelegation(self.settings.id, holder, now + hours * HOUR))

    def hand_over(self, other: "Phone", *, until: float) -> None:
        """Gives another phone a delegation that was made before the simulation began."""
        other.receive(self._give(ActiveDelegation(self.settings.id, other.settings.id, until)))

    def withdraw(self, holder: str, now: float) -> ActiveDelegation:
        """Withdraws a delegation: one that has ended, for the other phone's ``receive``. The service is told as well.

        Raises:
            PhoneRefusal: ``delegation_unknown``, ``delegation_ended``, ``not_now``.
        """
        self._states.must_be_unlocked(now)
        given = self._given.pop(holder, None)
        if given is None:
            raise self._states.refusal("delegation_unknown")
        if given.until <= now:
            raise self._states.refusal("delegation_ended")
        return replace(given, until=now)

    def receive(self, grant: ActiveDelegation) -> None:
        """Takes a grant, or its end.

        Raises:
            PhoneRefusal: ``delegation_unknown`` where it is for another phone.
        """
        if grant.holder != self.settings.id:
            raise self._states.refusal("delegation_unknown")
        self._grants[grant.owner] = grant
        if self._presents is not None and self._presents.owner == grant.owner:
            self._presents, self._qr = grant, None

    def grants(self, now: float) -> tuple[ActiveDelegation, ...]:
        """The delegations to this phone that have not ended."""
        return tuple(one for one in self._grants.values() if one.until > now)

    def present_for(self, owner: str, now: float) -> None:
        """Presents for somebody who delegated; ``choose`` leads back to the owner's own card.

        Raises:
            PhoneRefusal: ``delegation_unknown``, ``delegation_ended``, ``not_now``.
        """
        self._states.must_be_unlocked(now)
        grant = self._grants.get(owner)
        if grant is None:
            raise self._states.refusal("delegation_unknown")
        if grant.until <= now:
            raise self._states.refusal("delegation_ended")
        self._presents, self._qr = grant, None

    # ── receipts ─────────────────────────────────────────────────────────────────────────────────────────────────

    def keep(self, receipt: Receipt) -> None:
        """A receipt comes from the service."""
        self._receipts.append(receipt)

    def receipts(self, now: float) -> tuple[Receipt, ...]:
        """Receipts of the last seven days, oldest first.

        Raises:
            PhoneRefusal: ``not_now`` while it is not unlocked.
        """
        self._states.must_be_unlocked(now)
        self._receipts = [one for one in self._receipts if now - one.at <= RECEIPTS_FOR]
        return tuple(sorted(self._receipts, key=lambda one: one.at))

    # ── loss ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def revoke(self, now: float) -> None:
        """Hears that it was revoked: declared lost, or activated on another phone. Nothing of its owner stays on it.

        Raises:
            PhoneRefusal: ``not_now`` where it was not activated.
        """
        self._states.go("revoke", now)
        self._code, self._biometrics, self._left = "", False, TRIES
        self._porteur, self._presents, self._qr = 0, None, None
        self._grants.clear()
        self._given.clear()
        self._receipts.clear()

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _check_conditions(self, now: float) -> None:
        today = int(_in_france(now).strftime("%Y%m%d"))
        # As numbers, so that a birthday that no calendar has (month 19) counts as well.
        born = re.fullmatch(r"[0-9]{8}", self.settings.owner.date_naissance or "", re.ASCII)
        if born is None or today - int(born[0]) < _MINORITY * 10_000:
            raise self._states.refusal("too_young")
        if not self.settings.account:
            raise self._states.refusal("no_account")

    def _give(self, grant: ActiveDelegation) -> ActiveDelegation:
        self._given[grant.holder] = grant
        return grant

    def _handle(self, now: float) -> Handle:
        if self._presents is None:
            return Handle(self.settings.id, self.settings.id, self._porteur, now)
        if self._presents.until <= now:
            raise self._states.refusal("delegation_ended")
        return Handle(self._presents.owner, self.settings.id, 0, now, self._presents.until)


def phones(scenario: Scenario, now: float, random: RandomBytes) -> dict[str, Phone]:
    """The phones of a scenario by their ids, with its delegations handed over.

    Args:
        scenario: the scenario.
        now: when it begins, seconds since the epoch.
        random: for the strings.
    """
    sealer = StringSealer(scenario.secret)
    made = {one.id: Phone(one, sealer, random) for one in scenario.phones}
    for one in scenario.phones:
        for delegation in one.delegations:
            made[one.id].hand_over(made[delegation.to], until=now + delegation.hours * HOUR)
    return made


def _in_france(now: float) -> dt.datetime:
    """The time in metropolitan France, whose summer lasts as directive 2000/84/EC says."""
    utc = dt.datetime.fromtimestamp(now, dt.UTC)
    summer = _last_sunday(utc.year, 3) <= utc < _last_sunday(utc.year, 10)
    return utc + dt.timedelta(hours=2 if summer else 1)


def _last_sunday(year: int, month: int) -> dt.datetime:
    """One o'clock UTC on the last Sunday of a month of 31 days.

    In March and October the clocks of Europe are changed then.
    """
    last = dt.datetime(year, month, 31, 1, tzinfo=dt.UTC)
    return last - dt.timedelta(days=(last.weekday() + 1) % 7)
