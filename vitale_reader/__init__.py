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
    from vitale_protocol.errors import VitaleError
    from vitale_protocol.events import PresentationFailed, PresentationProgress, Reader
    from vitale_protocol.methods import Purpose, Scope
    from vitale_protocol.tokens import Claims
    from vitale_reader import aio, errors
    from vitale_reader.client.blocking import Connection, Lease, Presentation, connect
    from vitale_reader.client.pairing import Pairing
    from vitale_reader.client.presentation import ReaderChange
    from vitale_reader.client.verification import SeenTokens, verify

__all__ = [
    "Claims",
    "Connection",
    "Lease",
    "Pairing",
    "Presentation",
    "PresentationFailed",
    "PresentationProgress",
    "Purpose",
    "Reader",
    "ReaderChange",
    "Scope",
    "SeenTokens",
    "VitaleError",
    "aio",
    "connect",
    "errors",
    "verify",
]

_PLACES = {
    "Claims": "vitale_protocol.tokens",
    "Connection": "vitale_reader.client.blocking",
    "Lease": "vitale_reader.client.blocking",
    "Pairing": "vitale_reader.client.pairing",
    "Presentation": "vitale_reader.client.blocking",
    "PresentationFailed": "vitale_protocol.events",
    "PresentationProgress": "vitale_protocol.events",
    "Purpose": "vitale_protocol.methods",
    "Reader": "vitale_protocol.events",
    "ReaderChange": "vitale_reader.client.presentation",
    "Scope": "vitale_protocol.methods",
    "SeenTokens": "vitale_reader.client.verification",
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
