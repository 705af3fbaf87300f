"""The trust list of the site: read and checked at start, and what a 2D-Doc is worth by it."""

import logging
from pathlib import Path
from typing import Any

import pytest

from tests.protocol.seal_office import Office
from vitale_protocol.errors import ConfigurationInvalid
from vitale_reader.daemon.issuing.trusted_signers import read_trust_list

OFFICE = Office()
SIGNER = OFFICE.signer("0001")
SEALED = SIGNER.seal(b"62GARCIA\x1d60SARAH/LOU\x1d6925011977")


@pytest.fixture
def signers(tmp_path: Path) -> Path:
    file = tmp_path / "signers.pem"
    file.write_bytes(SIGNER.pem)
    return file


def test_without_a_file_there_is_no_list() -> None:
    assert read_trust_list(()) is None


def test_several_files_make_one_list(signers: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(OFFICE.signer("0002").pem)
    trust = read_trust_list([str(signers), str(other)])
    assert trust is not None
    assert sorted(signer.certificate for signer in trust.signers) == ["0001", "0002"]


def test_a_signer_that_its_authority_does_not_know_is_told_of(
    signers: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    listed = tmp_path / "list.xml"
    listed.write_bytes(Office(OFFICE.name).trusted_list())
    with caplog.at_level(logging.WARNING):
        read_trust_list([str(listed), str(signers)])
    assert "FR99 0001" in caplog.text


@pytest.mark.parametrize("content", [None, b"", b"neither of them", b"<html>", b"x" * 8_388_609])
def test_a_file_that_cannot_be_used_is_named(signers: Path, tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "list"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationInvalid) as told:
        read_trust_list([str(signers), str(file)])
    assert told.value.data == {"path": "seals.trust_list", "file": str(file)}


async def submitted(line: Any) -> dict[str, Any]:
    pending = {"nonce": "n" * 22, "payload": SEALED.decode(), "scopes": ["identity"]}
    return dict((await line.result("presentation.submit", pending))["claims"])


def test_a_seal_is_verified_by_the_list_of_the_site(counter: Any, signers: Path) -> None:
    async def work(line: Any) -> None:
        claims = await submitted(line)
        assert claims["medium"] == "2d-doc"
        assert (claims["proof"]["method"], claims["proof"]["verified"]) == ("seal-signature", True)
        assert claims["record"]["beneficiaires"][0]["nom_patronymique"] == "GARCIA"

    counter.run(work, counter.config(rest=f"[seals]\ntrust_list = ['{signers}']"))


def test_without_a_list_a_seal_proves_nothing_and_the_token_says_so(counter: Any) -> None:
    async def work(line: Any) -> None:
        claims = await submitted(line)
        assert claims["proof"]["verified"] is False
        assert "seal_not_verified" in claims["warnings"]

    counter.run(work)


def test_a_daemon_does_not_start_with_a_list_that_it_cannot_use(counter: Any) -> None:
    async def work(_: Any) -> None:
        raise AssertionError("it started")

    with pytest.raises(ConfigurationInvalid):
        counter.run(work, counter.config(rest="[seals]\ntrust_list = ['/nowhere/list.xml']"))
