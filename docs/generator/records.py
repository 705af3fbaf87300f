"""docs/reference/records.md: every member of the uniform record, with its place in SSV_LireDroitsVitale."""

import msgspec

from docs.generator.markdown import GENERATED, members, prose, table, type_in_words
from vitale_protocol import records
from vitale_reader.daemon.issuing.issuer import ASSURE_SCOPES, BENEFICIAIRE_SCOPES

__all__ = ["SSV", "members", "page"]

INTRODUCTION = """
What any medium says, in one shape. The names are those that French billing software knows from the groups of
`SSV_LireDroitsVitale` (API SSV 4.03); the column *SSV* gives group and field. A dash means that the SSV has no such
field: see [ADR 0006](../adr/0006-record-says-what-the-medium-says.md).

Three rules hold everywhere:

- A member that is unknown is **absent**, never empty, never null.
- Text is what the medium says, but for its trailing padding: dates stay raw, even impossible ones.
- A token carries only the members that its scopes allow; the column *scope* names the scope.

The column *clear zone* marks what a carte Vitale 2 shows to anybody, without a CPS: nothing else can come with the
proof `card-clear-read`.

The NIR of a patient is `nir_certifie` where there is one; else, if `qualite` is `0`, the insured's `nir` and `cle_nir`;
for any other `qualite` the insured's NIR is **not** the patient's. Nothing vouches for the member `nir` of a
beneficiary: it is what the clear zone, or a printed code, shows in the same place as the names. `sexe` and
`code_lieu_naissance` are traits of the INS, which only printed codes show.
"""

#: Structs of the record in the order of the page, with the SSV group and field of each member.
SSV: dict[type[msgspec.Struct], dict[str, str]] = {
    records.Record: {"assure": "101", "beneficiaires": "104", "porteur": "—"},
    records.Assure: {
        "type_carte": "101/1",
        "numero_serie": "101/2",
        "date_debut_validite": "—",
        "date_fin_validite": "101/3",
        "nir": "101/8",
        "cle_nir": "101/9",
        "code_regime": "101/10",
        "caisse_gestionnaire": "101/11",
        "centre_gestionnaire": "101/12",
        "code_gestion": "101/13",
    },
    records.Beneficiaire: {
        "nom_usuel": "104/1",
        "nom_patronymique": "104/2",
        "prenom": "104/3",
        "date_naissance": "104/12",
        "date_naissance_iso": "—",
        "rang_gemellaire": "104/13",
        "qualite": "104/14",
        "nationalite": "—",
        "sexe": "—",
        "code_lieu_naissance": "—",
        "nir": "—",
        "cle_nir": "—",
        "nir_certifie": "104/9",
        "cle_nir_certifie": "104/10",
        "date_certification_nir": "104/11",
        "adresse": "104/4–8",
        "code_service_amo": "104/15",
        "droits_amo": "105",
        "couvertures": "106",
        "mutuelle": "107, 108",
        "amc": "109",
    },
    records.Period: {"debut": "105/1, 108/1", "fin": "105/2, 108/2"},
    records.Couverture: {"debut": "106/1", "fin": "106/2", "code_ald": "106/3", "code_situation": "106/4"},
    records.Mutuelle: {
        "identification": "107/1",
        "garanties_effectives": "107/2",
        "indicateur_traitement": "107/3",
        "type_services": "107/4",
        "services_contrat": "107/5",
        "code_aiguillage_sts": "107/6",
        "droits": "108",
    },
    records.Amc: {
        "numero_b2": "109/1",
        "numero_edi": "109/2",
        "numero_adherent": "109/3",
        "indicateur_traitement": "109/4",
        "debut": "109/5",
        "fin": "109/6",
        "code_routage": "109/7",
        "identifiant_hote": "109/8",
        "nom_domaine": "109/9",
        "code_aiguillage_sts": "109/10",
        "type_services": "109/11",
        "services_contrat": "109/12",
    },
}

#: What EF SFI 2 of the master file and of VITALE hold: tags 80, 81, 82, 90, 93 of template 65, and 80 of template 66.
CLEAR_ZONE: dict[type[msgspec.Struct], frozenset[str]] = {
    records.Assure: frozenset({"date_debut_validite", "nir", "cle_nir"}),
    records.Beneficiaire: frozenset(
        {"nom_usuel", "prenom", "date_naissance", "date_naissance_iso", "nationalite", "nir", "cle_nir"}
    ),
}

#: What is inside a mutuelle, a coverage or a period has the scope of the member that holds it.
SCOPES: dict[type[msgspec.Struct], dict[str, str]] = {
    records.Assure: ASSURE_SCOPES,
    records.Beneficiaire: BENEFICIAIRE_SCOPES,
}


def section(struct: type[msgspec.Struct]) -> str:
    """One struct of the record."""
    rows = [
        (
            f"`{field.name}`",
            SSV[struct][field.name],
            type_in_words(field.type),
            f"`{scope}`" if (scope := SCOPES.get(struct, {}).get(field.name)) else "",
            "✓" if field.name in CLEAR_ZONE.get(struct, ()) else "",
        )
        for field in members(struct)
    ]
    head = ("member", "SSV", "type", "scope", "clear zone")
    return f"## {struct.__name__}\n\n{prose(struct)}\n\n{table(head, rows)}"


def page() -> str:
    """Renders the page docs/reference/records.md."""
    parts = [GENERATED, "# The uniform record", INTRODUCTION.strip(), *(section(struct) for struct in SSV)]
    return "\n\n".join(parts) + "\n"
