"""A simulated phone in somebody's hand: the options about it, and what the phone refuses, in words."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vitale_reader.cli.frame import completing, output
from vitale_reader.cli.frame.exit_status import USAGE
from vitale_reader.cli.frame.language import t

if TYPE_CHECKING:
    from vitale_firmware_sim.phone.application import Receipt
    from vitale_firmware_sim.phone.user import PhoneUser

__all__ = ["refusals", "user", "user_options"]

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--porteur",
        default=0,
        type=click.IntRange(min=0),
        show_default=True,
        help=t(
            "La personne présentée : 0 pour le titulaire, sinon le rang de l’ayant droit.",
            "The person presented: 0 for the owner, else the place of a dependant.",
        ),
    ),
    click.option(
        "--for",
        "present_for",
        default="",
        metavar="ID",
        shell_complete=completing.phones,
        help=t(
            "Présente la carte d’un autre, qui a donné délégation à ce téléphone.",
            "Presents somebody else's card, who delegated to this phone.",
        ),
    ),
    click.option("--locked", is_flag=True, help=t("Laisse le téléphone verrouillé.", "Leaves the phone locked.")),
    click.option(
        "--service",
        default="",
        metavar="URL",
        help=t(
            "Le service simulé, interrogé à chaque ouverture de l’appli pour les reçus des factures signées.",
            "The simulated service, asked for the receipts of signed invoices whenever the application is opened.",
        ),
    ),
    click.option(
        "--enrol",
        is_flag=False,
        flag_value="email",
        type=click.Choice(["email", "france-identite"]),
        help=t(
            "Inscrit et active d’abord un téléphone neuf, en temps simulé : par le code reçu par courriel, ou par "
            "France Identité.",
            "First enrols and activates a new phone, in simulated time: by the code that came by e-mail, or by France "
            "Identité.",
        ),
    ),
)


def user_options(function: F) -> F:
    """Adds the options that say who holds the phone, and what is done with it first."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


class OrderRefused(click.ClickException):
    """The phone refuses the order."""

    exit_code = USAGE


@contextmanager
def refusals() -> Generator[None]:
    """Tells what the phone refuses; else it would be a status word to the first reader."""
    from vitale_firmware_sim.phone.card import PhoneRefusal

    try:
        yield
    except PhoneRefusal as refusal:
        raise OrderRefused(_reason(str(refusal.data.get("why")), str(refusal.data.get("state")))) from refusal


def user(
    scenario: str, phone_id: str, *, porteur: int, present_for: str, locked: bool, enrol: str | None, service: str = ""
) -> "PhoneUser":
    """The phone in its user's hand, enrolled if asked for, and unlocked unless it is to stay locked."""
    import secrets

    from vitale_firmware_sim.apcv_service.receipts import ReceiptMailbox
    from vitale_firmware_sim.phone.user import PhoneUser
    from vitale_firmware_sim.scenario import load_scenario

    made = PhoneUser(
        load_scenario(scenario),
        phone_id,
        clock=time.time,
        random=secrets.token_bytes,
        locked=locked,
        porteur=porteur,
        present_for=present_for,
        receipts=ReceiptMailbox(service, _tell_receipt) if service else None,
    )
    with refusals():
        if enrol is not None:
            for at, state in made.enrol(france_identite=enrol == "france-identite"):
                output.note(f"{time.strftime(t('%d/%m/%Y %H:%M', '%Y-%m-%d %H:%M'), time.localtime(at))}  {state}")
        if not locked:
            made.unlock()
    return made


def _tell_receipt(receipt: "Receipt | None") -> None:
    if receipt is None:
        output.note(t("Le service ne répond pas : pas de reçus.", "The service does not answer: no receipts."))
        return
    euros, cents = divmod(receipt.cents, 100)
    amount = t(f"{euros},{cents:02} €", f"€{euros}.{cents:02}")
    output.note(t(f"Reçu : {receipt.practitioner}, {amount}", f"Receipt: {receipt.practitioner}, {amount}"))


def _reason(why: str, state: str) -> str:
    sentences = {
        "too_young": t("l’appli s’active à partir de 16 ans", "the application is for people of 16 and over"),
        "no_account": t("il faut un compte ameli à soi", "an account of one's own is needed"),
        "nobody": t("personne n’a ce rang", "nobody has this place"),
        "delegation_unknown": t("aucune délégation de ce téléphone", "no delegation from this phone"),
        "delegation_ended": t("la délégation a pris fin", "the delegation has ended"),
    }
    return sentences.get(why) or t(f"pas dans cet état ({state})", f"not in this state ({state})")
