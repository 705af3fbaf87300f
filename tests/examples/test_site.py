"""The example of a site is configured so that its desks could start, and be looked after."""

import os
import ssl
import stat
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest
from ruamel.yaml import YAML

from vitale_reader.daemon.config import Config, parse
from vitale_reader.daemon.site.database_tls import require_encrypted_line

COMPOSE = Path(__file__).resolve().parents[2] / "examples" / "site" / "compose.yaml"
TEXT = COMPOSE.read_text(encoding="utf-8")
DESKS = ("left", "right")
LASTING = ("database", "backup", *DESKS)

Json = dict[str, Any]


@pytest.fixture(scope="module")
def compose() -> Json:
    return cast("Json", YAML(typ="safe").load(TEXT))  # pyright: ignore[reportUnknownMemberType]  # ruamel has no types for it


@pytest.fixture(scope="module")
def config(compose: Json) -> Config:
    return parse(compose["configs"]["desk"]["content"])


def script(service: Json, part: str) -> str:
    """What a shell is given, as Compose gives it."""
    shell, flags, text = service[part]
    assert ("sh", "-euc") == (shell, flags)
    return str(text).replace("$$", "$")


def run_shell(text: str, folder: Path, **environ: str) -> None:
    """Runs it as if its folders were this one, and whom it calls were not there."""
    for name in ("chown", "vitale-reader"):
        stub = folder / "bin" / name
        stub.parent.mkdir(exist_ok=True)
        stub.write_text(f'#!/bin/sh\necho {name} "$@" >> {folder}/called\n')
        stub.chmod(0o700)
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    subprocess.run(["sh", "-euc", text], check=True, env={"PATH": path, **environ}, capture_output=True)


def test_the_settings_of_a_desk_hold(config: Config) -> None:
    assert (config.site.when_away, config.station.mode) == ("degraded", "simulated")


def test_the_line_to_the_database_is_checked(config: Config, compose: Json) -> None:
    require_encrypted_line(config.store, config.site.tls, {})
    assert "verify-full" == compose["services"]["backup"]["environment"]["PGSSLMODE"]
    assert "-cssl=on" in compose["services"]["database"]["command"]


def test_no_password_stands_in_it(config: Config) -> None:
    assert "POSTGRES_PASSWORD:" not in TEXT
    assert "desk@" in config.store
    assert ":" not in config.store.removeprefix("postgresql://").partition("@")[0]


@pytest.mark.parametrize("name", LASTING)
def test_what_is_to_last_comes_back(compose: Json, name: str) -> None:
    assert "unless-stopped" == compose["services"][name]["restart"]


@pytest.mark.parametrize("name", DESKS)
def test_a_desk_keeps_its_home_and_no_other_has_it(compose: Json, name: str) -> None:
    homes = {desk: [one for one in compose["services"][desk]["volumes"] if one.endswith(":/desk")] for desk in DESKS}
    assert [f"{name}:/desk"] == homes[name]
    assert name in compose["volumes"]


@pytest.mark.parametrize("name", DESKS)
def test_a_command_beside_the_daemon_finds_home_and_password(compose: Json, name: str) -> None:
    """``docker compose exec`` has the environment of the container, not what its first shell exported."""
    environment = compose["services"][name]["environment"]
    assert {"VITALE_READER_HOME": "/desk", "PGPASSFILE": "/desk/pgpass"} == environment
    assert "export" not in script(compose["services"][name], "command")


def test_a_desk_begins_with_private_files(compose: Json, tmp_path: Path) -> None:
    (tmp_path / "config.toml.given").write_text("x")
    (tmp_path / "secret").write_text("canary")
    text = script(compose["services"]["left"], "command")
    text = text.replace("/run/configs/config.toml", str(tmp_path / "config.toml.given"))
    text = text.replace("/run/secrets/database", str(tmp_path / "secret"))
    run_shell(text, tmp_path, VITALE_READER_HOME=str(tmp_path), PGPASSFILE=str(tmp_path / "pgpass"))
    for name, content in (("config.toml", "x"), ("pgpass", "database:5432:vitale:desk:canary\n")):
        assert content == (tmp_path / name).read_text()
        assert 0o600 == stat.S_IMODE((tmp_path / name).stat().st_mode)
    assert "vitale-reader serve\n" == (tmp_path / "called").read_text()


def test_the_certificate_of_the_database_is_one_that_desks_accept(compose: Json, tmp_path: Path) -> None:
    text = script(compose["services"]["certificates"], "entrypoint").replace("cd /certificates", f"cd {tmp_path}")
    run_shell(text, tmp_path, NAMES="DNS:database,DNS:localhost")
    assert ["authority.pem", "server.key", "server.pem"] == sorted(file.name for file in tmp_path.glob("*.*"))
    assert 0o600 == stat.S_IMODE((tmp_path / "server.key").stat().st_mode)
    assert "TLSv1.3" == handshake(tmp_path, "database")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tmp_path, "elsewhere")
    before = (tmp_path / "server.pem").read_bytes()
    run_shell(text, tmp_path, NAMES="DNS:other")
    assert before == (tmp_path / "server.pem").read_bytes(), "made once"


def handshake(folder: Path, name: str) -> str | None:
    """What libpq does with ``sslmode=verify-full``, without a network."""
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(folder / "server.pem", folder / "server.key")
    client_side = ssl.create_default_context(cafile=str(folder / "authority.pem"))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_side.wrap_bio(to_client, to_server, server_hostname=name)
    server = server_side.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server, client, server):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return client.version()


def test_backups_are_what_a_restore_takes(compose: Json) -> None:
    text = script(compose["services"]["backup"], "entrypoint")
    assert "pg_dump --format=custom" in text
    assert "umask 077" in text
    assert "backups:/backups" in compose["services"]["backup"]["volumes"]
