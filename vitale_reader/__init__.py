"""One local daemon for every way a patient presents a carte Vitale: the public names of the SDK.

Example:
    ::

        import vitale_reader

        with vitale_reader.connect() as reader:
            presentation = reader.read(scopes=["identity", "nir"], purpose="fse")
            print(presentation.medium, presentation.proof.method)

Names are loaded when they are first used, so that ``import vitale_reader`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vitale_protocol.catalogue import Entry, Language
    from vitale_protocol.claims import Claims, ContextClaim, Evidence, ReaderClaim, Seen
    from vitale_protocol.diagnosis.findings import Finding
    from vitale_protocol.errors import Choice, VitaleError
    from vitale_protocol.events import (
        CodeRead,
        ContextExpiring,
        Gs1,
        LeaseWhy,
        PresentationFailed,
        PresentationProgress,
        Reader,
        ReaderState,
        ReaderStation,
        Step,
    )
    from vitale_protocol.methods import (
        ClientAdded,
        ClientsRevoked,
        ClientSummary,
        ClockHealth,
        ContextRestored,
        DashboardOpened,
        Diagnosed,
        DriverHealth,
        Limits,
        OutboxToken,
        PairingAccepted,
        PairingAsked,
        PairingAttempt,
        PairingOpened,
        Purpose,
        ResolverHealth,
        Scope,
        SessionOpened,
        Station,
        StationInfo,
        Transport,
    )
    from vitale_protocol.records import (
        Amc,
        Assure,
        Beneficiaire,
        Couverture,
        Freshness,
        Medium,
        Mutuelle,
        Origin,
        Period,
        Proof,
        ProofMethod,
        Record,
    )
    from vitale_protocol.tokens import Check
    from vitale_reader import aio, errors
    from vitale_reader.client.blocking import Connection, Lease, PendingRead, Presentation, connect
    from vitale_reader.client.pairing import Pairing
    from vitale_reader.client.presentation import InvoiceSignature, ReaderChange
    from vitale_reader.client.verification import SeenTokens, verify

__all__ = [
    "Amc",
    "Assure",
    "Beneficiaire",
    "Check",
    "Choice",
    "Claims",
    "ClientAdded",
    "ClientSummary",
    "ClientsRevoked",
    "ClockHealth",
    "CodeRead",
    "Connection",
    "ContextClaim",
    "ContextExpiring",
    "ContextRestored",
    "Couverture",
    "DashboardOpened",
    "Diagnosed",
    "DriverHealth",
    "Entry",
    "Evidence",
    "Finding",
    "Freshness",
    "Gs1",
    "InvoiceSignature",
    "Language",
    "Lease",
    "LeaseWhy",
    "Limits",
    "Medium",
    "Mutuelle",
    "Origin",
    "OutboxToken",
    "Pairing",
    "PairingAccepted",
    "PairingAsked",
    "PairingAttempt",
    "PairingOpened",
    "PendingRead",
    "Period",
    "Presentation",
    "PresentationFailed",
    "PresentationProgress",
    "Proof",
    "ProofMethod",
    "Purpose",
    "Reader",
    "ReaderChange",
    "ReaderClaim",
    "ReaderState",
    "ReaderStation",
    "Record",
    "ResolverHealth",
    "Scope",
    "Seen",
    "SeenTokens",
    "SessionOpened",
    "Station",
    "StationInfo",
    "Step",
    "Transport",
    "VitaleError",
    "aio",
    "connect",
    "errors",
    "verify",
]

_PLACES = {
    "Amc": "vitale_protocol.records",
    "Assure": "vitale_protocol.records",
    "Beneficiaire": "vitale_protocol.records",
    "Check": "vitale_protocol.tokens",
    "Choice": "vitale_protocol.errors",
    "Claims": "vitale_protocol.claims",
    "ClientAdded": "vitale_protocol.methods",
    "ClientSummary": "vitale_protocol.methods",
    "ClientsRevoked": "vitale_protocol.methods",
    "CodeRead": "vitale_protocol.events",
    "Connection": "vitale_reader.client.blocking",
    "ContextClaim": "vitale_protocol.claims",
    "ContextExpiring": "vitale_protocol.events",
    "ContextRestored": "vitale_protocol.methods",
    "Couverture": "vitale_protocol.records",
    "DashboardOpened": "vitale_protocol.methods",
    "Diagnosed": "vitale_protocol.methods",
    "DriverHealth": "vitale_protocol.methods",
    "Entry": "vitale_protocol.catalogue",
    "Evidence": "vitale_protocol.claims",
    "Finding": "vitale_protocol.diagnosis.findings",
    "Freshness": "vitale_protocol.records",
    "Gs1": "vitale_protocol.events",
    "InvoiceSignature": "vitale_reader.client.presentation",
    "Language": "vitale_protocol.catalogue",
    "Lease": "vitale_reader.client.blocking",
    "LeaseWhy": "vitale_protocol.events",
    "Limits": "vitale_protocol.methods",
    "Medium": "vitale_protocol.records",
    "Mutuelle": "vitale_protocol.records",
    "Origin": "vitale_protocol.records",
    "OutboxToken": "vitale_protocol.methods",
    "PairingAccepted": "vitale_protocol.methods",
    "PairingAsked": "vitale_protocol.methods",
    "PairingAttempt": "vitale_protocol.methods",
    "PairingOpened": "vitale_protocol.methods",
    "Pairing": "vitale_reader.client.pairing",
    "PendingRead": "vitale_reader.client.blocking",
    "Period": "vitale_protocol.records",
    "Presentation": "vitale_reader.client.blocking",
    "PresentationFailed": "vitale_protocol.events",
    "PresentationProgress": "vitale_protocol.events",
    "Proof": "vitale_protocol.records",
    "ProofMethod": "vitale_protocol.records",
    "Purpose": "vitale_protocol.methods",
    "Reader": "vitale_protocol.events",
    "ReaderChange": "vitale_reader.client.presentation",
    "ReaderClaim": "vitale_protocol.claims",
    "ReaderState": "vitale_protocol.events",
    "ReaderStation": "vitale_protocol.events",
    "Record": "vitale_protocol.records",
    "ClockHealth": "vitale_protocol.methods",
    "ResolverHealth": "vitale_protocol.methods",
    "Scope": "vitale_protocol.methods",
    "Seen": "vitale_protocol.claims",
    "SeenTokens": "vitale_reader.client.verification",
    "SessionOpened": "vitale_protocol.methods",
    "Station": "vitale_protocol.methods",
    "StationInfo": "vitale_protocol.methods",
    "Step": "vitale_protocol.events",
    "Transport": "vitale_protocol.methods",
    "VitaleError": "vitale_protocol.errors",
    "connect": "vitale_reader.client.blocking",
    "verify": "vitale_reader.client.verification",
}
_MODULES = {"aio": "vitale_reader.aio", "errors": "vitale_reader.errors"}


def __getattr__(name: str) -> object:
    if name in _MODULES:
        value: object = import_module(_MODULES[name])
    elif name in _PLACES:
        value = getattr(import_module(_PLACES[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
