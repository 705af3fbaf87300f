"""No secret of the settings is shown, however it is written; what is none stays legible."""

from typing import Any

import msgspec
import pytest

from vitale_reader.daemon.config import Config, has_secrets, parse, shown
from vitale_reader.daemon.secret_settings import MASK, masked, masked_text

SECRET = "s3cr3t-canary"

#: Names as drivers and plug-ins spell them.
NAMES = [
    *("pin", "PIN", "user_pin", "pin-code", "cardPin", "password", "Passwort_password", "passwd", "db_passwd", "pwd"),
    *("passphrase", "key_passphrase", "secret", "clientSecret", "client-secret", "token", "accessToken", "api_key"),
    *("apiKey", "api-key", "access_key", "private_key", "privateKey", "credential", "credentials", "authorization"),
    *("auth", "psk", "mdp", "mot_de_passe", "code_porteur", "cookie"),
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [SECRET, 4711, [SECRET], {"value": SECRET}, [{"deep": [SECRET]}]], ids=repr)
def test_a_secret_by_its_name_at_any_depth(name: str, value: object) -> None:
    for settings in ({name: value}, {"service": {"options": [{name: value}]}}):
        said = repr(masked(settings))
        assert MASK in said
        assert SECRET not in said
        assert "4711" not in said


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"rtsp://admin:{SECRET}@10.0.0.7:554/live", f"rtsp://admin:{MASK}@10.0.0.7:554/live"),
        (f"rtsp://admin:p@{SECRET}@10.0.0.7/live", f"rtsp://admin:{MASK}@10.0.0.7/live"),
        (f"http://cam/video?user=a&pwd={SECRET}&size=2", f"http://cam/video?user=a&pwd={MASK}&size=2"),
        (f"http://cam/video#access_token={SECRET}", f"http://cam/video#access_token={MASK}"),
        (f"postgresql://desk:{SECRET}@db/vitale", f"postgresql://desk:{MASK}@db/vitale"),
        (f"postgresql://desk@db/vitale?sslpassword={SECRET}", f"postgresql://desk@db/vitale?sslpassword={MASK}"),
        (f"host=db password={SECRET} user=desk", f"host=db password={MASK} user=desk"),
        (f"host=db password='{SECRET} {SECRET}' user=desk", f"host=db password={MASK} user=desk"),
        (f"--pin={SECRET}", f"--pin={MASK}"),
        (f"Authorization: Bearer {SECRET}", f"Authorization: {MASK}"),
        (
            f"-----BEGIN EC PRIVATE KEY-----\n{SECRET}\n-----END EC PRIVATE KEY-----\n",
            f"-----BEGIN EC PRIVATE KEY-----{MASK}-----END EC PRIVATE KEY-----\n",
        ),
    ],
)
def test_a_secret_by_its_form(text: str, expected: str) -> None:
    assert expected == masked_text(text)


def test_the_argument_after_the_name_of_a_secret() -> None:
    assert ["sign", "--pin", MASK, "--slot", "2"] == masked(["sign", "--pin", SECRET, "--slot", "2"])


@pytest.mark.parametrize(
    "settings",
    [
        {"token_file": "/run/secrets/token", "pin_path": "/x", "auth_url": "https://service/auth"},
        {"spin": 3, "shipping": "box", "compass": 1, "author": "x", "scopes": ["identity"], "use_token": True},
        {"url": "http://cam:8080/video", "store": "postgresql://desk@db/vitale?sslmode=verify-full"},
        {"password": "", "pin": None},
    ],
)
def test_what_is_no_secret_stays_legible(settings: dict[str, Any]) -> None:
    assert settings == masked(settings)


def every_secret() -> Config:
    return parse(
        f"""
        store = "postgresql://desk:{SECRET}@db/vitale?sslmode=verify-full"
        [drivers.options.camera]
        cameras = ["rtsp://admin:{SECRET}@10.0.0.7/live"]
        [drivers.options.plug-in]
        service = {{ nested = [{{ clientSecret = "{SECRET}" }}] }}
        [apcv.options]
        pin = "{SECRET}"
        assertion_options = {{ pin = "{SECRET}", command = ["sign", "--pin", "{SECRET}"] }}
        """
    )


def test_the_settings_are_shown_without_any() -> None:
    config = every_secret()
    assert has_secrets(config)
    for said in (repr(config), msgspec.json.encode(shown(config)).decode()):
        assert SECRET not in said
        assert 6 == said.count(MASK)


def test_settings_without_any_are_shown_as_they_are() -> None:
    config = parse('store = "postgresql://desk@db/vitale"\n[tokens]\nlifetime = 60\n[drivers.options.pcsc]\nx = 1')
    assert msgspec.json.encode(config) == msgspec.json.encode(shown(config))
    assert not has_secrets(config)
