"""Masks the secrets among settings: what ``config show``, logs and errors may repeat, and what makes a file private.

A secret is known by its form, or by the name of its setting (``pin``, ``password``, ``token`` …). The setting may be at
any depth of a driver's or a plug-in's options. Forms are a URL's password, ``password=…`` in a text, the value after
``--pin``, and a private key in PEM. A name that ends in ``file``, ``path``, ``url`` and the like names the place of a
secret. Its value is shown.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

__all__ = ["MASK", "masked", "masked_text", "masked_values"]

MASK = "***"

#: Names, or parts of names, under which secrets are kept; the short ones are whole words of a name.
_LONG = r"passw(?:or)?d|passphrase|secret|token|credential|authori[sz]ation|apikey|privatekey|motdepasse|cookie"
_SHORT = r"pin|pwd|pass|psk|auth|mdp|code_porteur"
_NAMES_SECRET = re.compile(rf"(?:{_LONG})|(?:^|_)(?:{_SHORT}|api_key|access_key|private_key|mot_de_passe)(?:s?)(?:_|$)")
_NAMES_PLACE = re.compile(r"(?:^|_)(?:file|path|folder|url|uri|env|timeout|lifetime|type|name|length)s?$")

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S*")
_PEM = re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL)
#: ``name=value`` of an address's query, of a connection string, of a program's arguments; ``Name: value`` of a header.
_PAIR = re.compile(
    r"(?P<name>[A-Za-z][A-Za-z0-9_.-]*)(?P<sign>\s*=\s*|\s*:\s+)(?:'[^']*'|\"[^\"]*\"|[^&;\s,]+)",
)
_HEADER = re.compile(r"^(?P<name>(?:proxy-)?authorization|cookie)\s*[:=].*", re.IGNORECASE | re.DOTALL)


def masked(value: Any, *, secret: bool = False) -> Any:
    """Plain values, as of JSON, with every secret in them replaced by ``MASK``.

    Args:
        value: settings, or one of them.
        secret: whether the name that it stands under is one of secrets.
    """
    if isinstance(value, Mapping):
        table = cast("Mapping[str, Any]", value)
        return {name: masked(one, secret=secret or _is_secret(str(name))) for name, one in table.items()}
    if isinstance(value, list | tuple):
        return _of_list(cast("Sequence[Any]", value), secret=secret)
    if secret and value is not None and not isinstance(value, bool) and value != "":
        return MASK
    return masked_text(value) if isinstance(value, str) else value


def masked_values(value: Any) -> Any:
    """As ``masked``, by the form of values alone: for settings whose names are known."""
    if isinstance(value, Mapping):
        return {name: masked_values(one) for name, one in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [masked_values(one) for one in cast("Sequence[Any]", value)]
    return masked_text(value) if isinstance(value, str) else value


def masked_text(text: str) -> str:
    """A text without the passwords of URLs, private keys, and the values of pairs named like secrets."""
    text = _PEM.sub(rf"\1{MASK}\2", text)
    if header := _HEADER.match(text):
        return f"{header['name']}: {MASK}"
    text = _URL.sub(lambda found: _without_password(found[0]), text)
    return _PAIR.sub(_pair, text)


def _of_list(values: Sequence[Any], *, secret: bool) -> list[Any]:
    """A list; in one of a program's arguments, the one after ``--pin`` is a secret as well."""
    found: list[Any] = []
    follows = False
    for value in values:
        found.append(masked(value, secret=secret or follows))
        follows = isinstance(value, str) and value.startswith("-") and "=" not in value and _is_secret(value)
    return found


def _is_secret(name: str) -> bool:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    words = re.sub(r"[^a-z0-9]+", "_", words).strip("_")
    return _NAMES_SECRET.search(words) is not None and _NAMES_PLACE.search(words) is None


def _without_password(url: str) -> str:
    # To the last @, in case somebody did not escape theirs.
    scheme, _, rest = url.partition("://")
    who, at, where = rest.rpartition("@")
    user, colon, password = who.partition(":")
    return f"{scheme}://{user}:{MASK}{at}{where}" if colon and password else url


def _pair(found: re.Match[str]) -> str:
    return f"{found['name']}{found['sign']}{MASK}" if _is_secret(found["name"]) else found[0]
