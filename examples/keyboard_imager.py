"""A program whose imager types like a keyboard.

Each line that comes in is a code, until the input ends. Run a daemon first (``vitale-reader serve``). Without an
imager, type or paste a code and press Enter. Where the daemon is in mode ``simulated``, the simulated phone can write
one. The command is ``vitale-reader sim phone --string | python examples/keyboard_imager.py``.
"""

import sys

import vitale_reader
from vitale_reader.errors import PresentationError, ResolverError


def main() -> None:
    with vitale_reader.connect(name="keyboard-imager", language="fr") as reader:
        for line in sys.stdin:
            # As it was typed: what keyboards do to it is undone by the daemon, where that is certain.
            try:
                found = reader.submit(line, scopes=["identity", "nir"], purpose="fse", acknowledge=False)
            except (PresentationError, ResolverError) as error:
                print(f"{error.title}\n  {error.remedy}")
                continue
            bill(found)
            found.acknowledge()  # only now: had this program died before, pending() would have given the token again


def bill(found: vitale_reader.Presentation) -> None:
    """Stands for billing software: prints the presentation."""
    person = found.beneficiaries[0] if found.beneficiaries else None
    print(f"{person.nom_patronymique} {person.prenom}" if person else "contenu transporté, non lu")
    proved = "authentifié" if found.proof.verified else "non authentifié"
    print(f"  {found.medium}, jeton vérifié ; contenu {proved} ({found.proof.method}), origine {found.origin}")
    for warning in found.warnings:
        print(f"  attention : {warning}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print()
    except vitale_reader.VitaleError as error:
        raise SystemExit(str(error)) from error
