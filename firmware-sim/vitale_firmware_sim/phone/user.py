"""The hand that holds a simulated phone: unlocks the application before each reading, enrols a phone that is new."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from vitale_firmware_sim.phone.application import Phone, Receipt, phones
from vitale_firmware_sim.phone.states import PhoneState
from vitale_firmware_sim.phone.strings import RandomBytes
from vitale_firmware_sim.scenario import Scenario

__all__ = ["PhoneUser"]

# From the operator's desk to the phone, as the public texts have it: within 48 hours.
_DECISION: Final = 26 * 3600.0


class PhoneUser:
    """Holds one phone of a scenario; ``tap`` is what a ``PhoneCard`` wants.

    Args:
        scenario: the scenario.
        phone: the phone's id; empty for the first.
        clock: seconds since the epoch.
        random: for the strings.
        locked: whether the phone is left locked, so that it refuses every reading.
        porteur: whose card is shown: 0 for the owner's, else a dependant's place among the beneficiaries.
        present_for: the id of the phone whose owner delegated; empty for nobody.
        receipts: gives the receipts that the service has for a phone, asked whenever it is opened.

    Raises:
        ConfigurationInvalid: the scenario has no such phone.
    """

    def __init__(
        self,
        scenario: Scenario,
        phone: str = "",
        *,
        clock: Callable[[], float],
        random: RandomBytes,
        locked: bool = False,
        porteur: int = 0,
        present_for: str = "",
        receipts: Callable[[str, float], Iterable[Receipt]] | None = None,
    ) -> None:
        self.settings = scenario.phone(phone) if phone else scenario.phones[0]
        self.phone: Phone = phones(scenario, clock(), random)[self.settings.id]
        self._clock = clock
        self._locked = locked
        self._porteur = porteur
        self._present_for = present_for
        self._receipts = receipts

    def unlock(self) -> None:
        """Unlocks the application and opens the card that is to be shown, as far as necessary.

        Raises:
            PhoneRefusal: the phone is not active, there is no such person, or no delegation (any more).
        """
        now = self._clock()
        self.phone.unlock(self.settings.code, now)
        for receipt in self._receipts(self.settings.id, now) if self._receipts else ():
            self.phone.keep(receipt)
        if self._present_for:
            self.phone.present_for(self._present_for, now)
        else:
            self.phone.choose(self._porteur, now)

    def tap(self) -> bytes:
        """The string for one reading.

        Raises:
            PhoneRefusal: as for ``unlock``; always where the phone is left locked.
        """
        if not self._locked:
            self.unlock()
        return self.phone.tap(self._clock())

    def enrol(self, *, france_identite: bool = False) -> Iterator[tuple[float, PhoneState]]:
        """Enrols a new phone and activates it, in the time of the simulation.

        Yields each time with the state that it leads to. The operator's decision is dated back, so that the phone is
        ready at the present time of the clock.

        Args:
            france_identite: by the application France Identité, which vouches: nothing is sent, nobody decides.

        Raises:
            PhoneRefusal: it is not new, or its owner may not have one.
        """
        phone, settings = self.phone, self.settings
        owner = settings.owner
        decided = self._clock()
        began = decided if france_identite else decided - _DECISION
        yield began, phone.state(began)
        if france_identite:
            phone.france_identite(began)
        else:
            phone.identify(f"{owner.nir_certifie}{owner.cle_nir_certifie}", settings.email_code, began)
            yield began, phone.state(began)
            phone.send_document_and_face(began)
            yield began, phone.state(began)
            phone.decide(decided, document=True, face=True)
        yield decided, phone.state(decided)
        phone.activate(settings.code, decided, biometrics=settings.biometrics)
        yield decided, phone.state(decided)
