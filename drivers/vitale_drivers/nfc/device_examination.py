"""Things on an NFC reader, tried step by step for ``doctor``: each target, command and answer."""

import time

from vitale_drivers.base import Tell
from vitale_drivers.cards.device_examination import ExaminedConnection, examine_phone
from vitale_drivers.nfc.settings import NfcSettings
from vitale_drivers.nfc.transport import NfcPlace, NfcTarget, ReaderTransport
from vitale_protocol.diagnosis.check_results import CheckResult
from vitale_protocol.errors import PresentationTimeout
from vitale_protocol.media.apcv_profile import Profile

__all__ = ["examine"]


def examine(
    device: ReaderTransport,
    place: NfcPlace,
    profiles: tuple[Profile, ...],
    settings: NfcSettings,
    tell: Tell,
    seconds: float,
) -> None:
    """Waits for a phone, and tries it.

    Args:
        device: the reader, open.
        place: of the reader.
        profiles: tried one after the other; without any it is only told what lies there.
        settings: for its limits.
        tell: takes each step.
        seconds: for as long as a phone is waited for.

    Raises:
        PresentationTimeout: nothing was laid on the reader.
        MediumRemoved: the phone was taken away in the middle.
        ReaderGone: the reader does not answer any more.
    """
    tell(
        CheckResult(
            id="phone_awaited", subject="phone", state="ok", values={"name": place.name, "seconds": round(seconds)}
        )
    )
    try:
        targets = list(_found(device, settings.poll, seconds))
        for target in targets:
            tell(_told(target))
        if len(targets) > 1:
            tell(CheckResult(id="phone_several", subject="phone", state="wrong", values={"count": len(targets)}))
        elif not profiles:
            tell(CheckResult(id="phone_without_profile", subject="phone", state="wrong"))
        elif targets[0].iso_dep:
            examine_phone(
                profiles, ExaminedConnection(lambda apdu: device.transmit(apdu, settings.exchange_limit), tell, "phone")
            )
    finally:
        device.quiet()


def _found(device: ReaderTransport, poll: float, seconds: float) -> tuple[NfcTarget, ...]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if targets := device.find():
            return targets
        time.sleep(poll)
    raise PresentationTimeout("nothing was laid on the reader")


def _told(target: NfcTarget) -> CheckResult:
    """A target without its identifier, which may be a person's."""
    values = {"bytes": len(target.uid), "traits": target.traits.hex(" ").upper() or "–"}
    if not target.iso_dep:
        return CheckResult(id="phone_no_apdus", subject="phone", state="wrong", values=values)
    name = "phone_random" if target.random else "phone_fixed"
    return CheckResult(id=name, subject="phone", state="ok", values=values)
