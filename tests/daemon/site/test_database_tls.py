"""A line to a database on another machine is encrypted and its server checked, or the site says why it is not."""

from pathlib import Path

import pytest

from vitale_protocol.errors import ConfigurationInvalid
from vitale_reader.daemon.config import parse
from vitale_reader.daemon.site import open_store
from vitale_reader.daemon.site.database_tls import require_encrypted_line
from vitale_reader.home import Home

REQUIRED = "verify-full"
REMOTE = [
    "postgresql://desk@db/vitale",
    "postgresql://desk@db.practice.example:5433/vitale",
    "postgresql://desk:p%40ss@10.0.0.7/vitale",
    "postgresql://desk@[2001:db8::1]:5432/vitale",
    "postgresql://desk@[fe80::1%25eth0]/vitale",
    "postgresql://desk@localhost,db/vitale",
    "postgresql://desk@127.0.0.1:1,10.0.0.7:2/vitale",
    "postgresql://desk@/vitale?host=db",
    "postgresql://desk@/vitale?host=/run/postgresql,db",
    "postgresql://desk@/vitale?host=/run/postgresql&host=db:5432",
    "postgresql://desk@localhost/vitale?hostaddr=10.0.0.7",
    "postgresql://desk@localhost.example/vitale",
    "postgresql://desk@127.0.0.1.example/vitale",
    "postgresql://desk@0.0.0.0/vitale",
    "postgresql:///vitale?service=practice",
    "postgresql://localhost@db/vitale",
]
LOCAL = [
    "postgresql:///vitale",
    "postgresql://desk@/vitale",
    "postgresql://desk@/vitale?host=/run/postgresql",
    "postgresql://desk@%2Frun%2Fpostgresql/vitale",
    "postgresql://desk@localhost/vitale",
    "postgresql://desk@127.0.0.1:5432/vitale",
    "postgresql://desk@127.8.9.1/vitale",
    "postgresql://desk@[::1]:5432/vitale",
    "postgresql://desk@localhost,127.0.0.1:5433/vitale",
    "postgresql://desk@localhost/vitale?hostaddr=127.0.0.1",
]


def refusal(url: str, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigurationInvalid) as told:
        require_encrypted_line(url, REQUIRED, environ or {})
    assert "store" == told.value.data["path"]
    return told.value.variant


@pytest.mark.parametrize("url", REMOTE)
@pytest.mark.parametrize("mode", ["", *("disable", "allow", "prefer", "require", "verify-ca", "VERIFY-FULL")])
def test_a_line_to_another_machine_that_is_not_checked_is_refused(url: str, mode: str) -> None:
    asked = f"{url}{'&' if '?' in url else '?'}sslmode={mode}" if mode else url
    assert "store_without_tls" == refusal(asked)


@pytest.mark.parametrize("url", REMOTE)
def test_a_line_that_is_checked_is_allowed(url: str) -> None:
    sign = "&" if "?" in url else "?"
    require_encrypted_line(f"{url}{sign}sslmode=verify-full&sslrootcert=/x.pem", REQUIRED, {})
    require_encrypted_line(url, REQUIRED, {"PGSSLMODE": "verify-full"})


@pytest.mark.parametrize("url", LOCAL)
def test_a_line_that_stays_on_this_machine_is_allowed(url: str) -> None:
    require_encrypted_line(url, REQUIRED, {})


def test_the_url_goes_before_the_environment() -> None:
    assert "store_without_tls" == refusal(f"{REMOTE[0]}?sslmode=prefer", {"PGSSLMODE": "verify-full"})
    assert "store_without_tls" == refusal(f"{REMOTE[0]}?sslmode=verify-full&sslmode=disable")
    require_encrypted_line(LOCAL[4], REQUIRED, {"PGHOST": "db"})


@pytest.mark.parametrize("environ", [{"PGHOST": "db"}, {"PGHOSTADDR": "10.0.0.7"}, {"PGSERVICE": "practice"}])
def test_the_environment_may_lead_to_another_machine(environ: dict[str, str]) -> None:
    assert "store_without_tls" == refusal("postgresql:///vitale", environ)


def test_nothing_of_the_url_is_repeated() -> None:
    with pytest.raises(ConfigurationInvalid) as told:
        require_encrypted_line("postgresql://desk:canary@db/vitale", REQUIRED, {})
    assert "canary" not in str(told.value) + str(told.value.data)


def test_plain_words_allow_it(tmp_path: Path) -> None:
    home = Home.under(tmp_path)
    for line in ('store = "postgresql://desk@db/vitale"',):
        with pytest.raises(ConfigurationInvalid) as told:
            open_store.check(home, parse(line))
        assert "store_without_tls" == told.value.variant
        open_store.check(home, parse(f'{line}\n[site]\ntls = "none: this line is inside the building\'s tunnel"'))


@pytest.mark.parametrize("words", ["none", "none:", "none: ", "none: why", "off", "prefer", "", "none: x\ny is long"])
def test_words_that_say_nothing_are_refused(words: str) -> None:
    with pytest.raises(ConfigurationInvalid):
        parse(f'[site]\ntls = """{words}"""')
