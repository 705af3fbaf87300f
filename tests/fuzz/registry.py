"""All targets, by the module that holds them: only that of the one that runs is loaded."""

from importlib import import_module

from tests.fuzz.target import Target

__all__ = ["NAMES", "load"]

_MODULES = {
    "wire": (*("jsonrpc", "session-server", "session-client", "framing", "rpc-params", "pairing", "endpoints"),),
    "cards": (
        *("tlv", "apdu", "vitale2", "vitale2-interpret", "pointers", "nfc-script", "profile", "pn532-frames"),
        "pn532-reader",
        "nfc-generic",
    ),
    "codes": (
        *("mrz", "ins-datamatrix", "2d-doc", "wedge", "separators", "codes", "scanner-line", "picture", "frames"),
    ),
    "trust": (
        *("token", "jwks", "trust-list", "soap-answer", "soap-build", "soap-request", "service-http", "phone-screen"),
    ),
    "web": ("page-request", "page-socket", "page-channel", "page-handshake", "page-site"),
    "station": ("worker-pipe", "config", "station-file", "sealed-rows"),
}

NAMES = tuple(name for names in _MODULES.values() for name in names)


def load(name: str) -> Target:
    """The target of this name.

    Raises:
        KeyError: there is none.
    """
    for module, names in _MODULES.items():
        if name in names:
            found: tuple[Target, ...] = import_module(f"tests.fuzz.targets.{module}").TARGETS
            return {target.name: target for target in found}[name]
    raise KeyError(name)
