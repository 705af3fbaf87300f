"""Keys of pages as the registry holds them: read as they were written, or refused."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from vitale_protocol.errors import ParseError
from vitale_protocol.signing import public_jwk
from vitale_reader.daemon.web.page_keys import IDLE_SECONDS, PageKey, page_key

NOW = 1_800_000_000.0
KEY = PageKey(
    site="https://facturation.example.fr", jwk=public_jwk(ec.derive_private_key(7, ec.SECP256R1())), used_at=NOW
)


def test_a_key_is_read_as_it_was_written() -> None:
    assert KEY == page_key(KEY.text())
    assert KEY.jwk.thumbprint == KEY.kid


def test_other_clients_have_none() -> None:
    assert page_key("") is None


@pytest.mark.parametrize(
    "altered", [{"kind": "extension"}, {"site": None}, {"jwk": {"kty": "EC"}}, {"used_at": "now"}, {"scopes": "admin"}]
)
def test_anything_else_is_refused(altered: dict[str, object]) -> None:
    with pytest.raises(ParseError):
        page_key(json.dumps(json.loads(KEY.text()) | altered))


def test_a_key_that_is_no_point_is_refused() -> None:
    with pytest.raises(ParseError):
        page_key(KEY.text().replace(KEY.jwk.y, KEY.jwk.x))


@pytest.mark.parametrize(("seconds", "idle"), [(0.0, False), (IDLE_SECONDS, False), (IDLE_SECONDS + 1, True)])
def test_a_key_that_nobody_uses_ends(seconds: float, idle: bool) -> None:
    assert idle == KEY.is_idle(NOW + seconds)
