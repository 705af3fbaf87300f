"""A pharmacy counter, with the SDK: card after card, until Ctrl-C.

Run a daemon first (``vitale-reader serve``), or try without any hardware:
``vitale-reader serve --mode simulated --driver simulated-card``.
"""

import argparse

import vitale_reader
from vitale_reader.errors import AmbiguousMedium, PresentationError, PresentationTimeout, ReaderError


def main() -> None:
    parser = argparse.ArgumentParser(description="A pharmacy counter.")
    parser.add_argument("--count", type=int, default=0, help="end after so many cards; 0: never")
    count: int = parser.parse_args().count
    served = 0
    with vitale_reader.connect(name="counter", language="fr") as reader:
        while not count or served < count:
            try:
                found = reader.read(
                    scopes=["identity", "nir", "dependants"],
                    purpose="fse",
                    timeout=600,
                    on_progress=lambda step: print(f"  {step.message}"),
                    acknowledge=False,
                )
            except PresentationTimeout:
                continue  # a quiet hour
            except (AmbiguousMedium, PresentationError, ReaderError) as error:
                print(f"{error.title}\n  {error.remedy}")
                if not isinstance(where := error.data.get("reader"), str):
                    raise  # no card was at fault: no reader, or several cards at once
                reader.wait_until_empty(where)
                continue
            bill(found)
            found.acknowledge()  # only now: had this program died before, pending() would have given the token again
            served += 1
            if served != count:
                reader.wait_until_empty(found.claims.reader.id)


def bill(found: vitale_reader.Presentation) -> None:
    """Stands for billing software: prints the presentation."""
    holder = found.holder
    print(f"{holder.nom_usuel} {holder.prenom}" if holder else "porteur inconnu")
    for person in found.beneficiaries:
        print(f"  bénéficiaire : {person.prenom}, {person.date_naissance_iso or person.date_naissance}")
    # The SDK has verified the token's signature. That is not the card's: the token itself tells what was proved.
    proved = "authentifiée" if found.proof.verified else "non authentifiée"
    print(f"  jeton vérifié ; lecture {proved} ({found.proof.method}), origine {found.origin}")
    for warning in found.warnings:
        print(f"  attention : {warning}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print()
    except vitale_reader.VitaleError as error:
        raise SystemExit(f"{error.title}\n  {error.cause}\n  {error.remedy}") from error
