"""An invented practice, as the apCV service wants to know one."""

import json

__all__ = ["apcv_options"]

_PRACTICE = {
    "assertion": "simulator",
    "rights": "simulator",
    "identifiant_facturation": "123456782",
    "code_specialite": "50",
    "emetteur": "officine-essai",
    "idam": "IDAM-0000",
    "lps_nom": "vitale-reader",
    "lps_version": "0.2",
    "lps_instance": "comptoir-1",
}


def apcv_options(url: str) -> str:
    """The table ``[apcv.options]`` of the practice, for a service at a URL."""
    options = {"url": url, **_PRACTICE}
    return "\n".join(("[apcv.options]", *(f"{name} = {json.dumps(value)}" for name, value in options.items())))
