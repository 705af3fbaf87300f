"""Every kept input, and every seed, once through its target: what was mended stays mended, without a fuzzer."""

import pytest

from tests.fuzz import corpora, registry
from tests.fuzz.target import Leak, chunks, framed, only, silent
from vitale_protocol.errors import ParseError, PayloadInvalid


@pytest.mark.parametrize("name", registry.NAMES)
def test_every_kept_input_passes(name: str) -> None:
    target = registry.load(name)

    for content in (b"", *target.seeds(), *(file.read_bytes() for file in corpora.kept(name))):
        target.run(content)


@pytest.mark.parametrize("name", registry.NAMES)
def test_kept_corpora_are_few_and_small(name: str) -> None:
    files = corpora.kept(name)

    assert 1 <= len(files) <= corpora.MOST_FILES
    assert sum(file.stat().st_size for file in files) <= corpora.MOST_BYTES
    assert all(file.stat().st_size <= registry.load(name).max_len for file in files)


def test_no_corpus_is_without_a_target() -> None:
    assert {folder.name for folder in corpora.CORPORA.iterdir()} == set(registry.NAMES)


def test_each_target_has_its_name() -> None:
    assert [registry.load(name).name for name in registry.NAMES] == [*registry.NAMES]


# ── the oracles themselves ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("said", ["of FOIN-AIGUILLE", "number 277010115400329", "number 123456789012"])
def test_an_error_that_tells_what_was_read_is_a_leak(said: str) -> None:
    with pytest.raises(Leak), only(ParseError, read=b"a 123456789012 b"):
        raise ParseError(said)


def test_so_is_its_cause() -> None:
    error = ParseError("not a document")
    error.__cause__ = PayloadInvalid("x", data={"name": "FOIN-AIGUILLE"})

    with pytest.raises(Leak):
        silent(error)


def test_documented_errors_pass_and_others_do_not() -> None:
    silent(ParseError("nested 40 deep"), b"12345678901")

    with pytest.raises(KeyError), only(ParseError):
        raise KeyError("x")


def test_an_input_is_taken_apart_as_it_was_put_together() -> None:
    assert [*chunks(framed(b"", b"a" * 300, b"b"))] == [b"", b"a" * 300, b"b"]
    assert [*chunks(b"\x00\x05abc")] == [b"abc"]
