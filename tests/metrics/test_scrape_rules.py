"""The rules of a scrape: who gets figures, and who gets the refusal."""

from hashlib import sha256

import pytest

from vitale_reader.metrics.scrape_rules import judge
from vitale_reader.web.http_rules import RequestHead

BEARER = b"b" * 43
DIGEST = sha256(BEARER).digest()
HOSTS = frozenset((b"127.0.0.1:7818", b"localhost:7818"))
FIELDS = {b"host": b"127.0.0.1:7818", b"authorization": b"Bearer " + BEARER, b"user-agent": b"Prometheus/2.42.0"}


def verdict(
    fields: dict[bytes, bytes | None] | None = None,
    *,
    method: bytes = b"GET",
    target: bytes = b"/metrics",
    version: bytes = b"1.1",
    more: tuple[tuple[bytes, bytes], ...] = (),
) -> str:
    """The verdict on a scrape with other fields, or without those that are None."""
    named = FIELDS | (fields or {})
    given = tuple((name, value) for name, value in named.items() if value is not None)
    return judge(RequestHead(method, target, version, given + more), HOSTS, DIGEST)


def test_whoever_shows_the_bearer_gets_figures_or_a_sign_of_life() -> None:
    assert "metrics" == verdict()
    assert "metrics" == verdict({b"authorization": b"bearer " + BEARER})
    assert "metrics" == verdict({b"host": b"localhost:7818"})
    assert "health" == verdict(target=b"/healthz")


@pytest.mark.parametrize(
    "fields",
    [
        {b"authorization": None},
        {b"authorization": b""},
        {b"authorization": b"Bearer "},
        {b"authorization": b"Bearer " + BEARER[:-1]},
        {b"authorization": b"Bearer " + BEARER + b"b"},
        {b"authorization": b"Basic " + BEARER},
        {b"authorization": BEARER},
        {b"authorization": b"Bearer " + DIGEST},
        {b"host": b"127.0.0.1"},
        {b"host": b"evil.test:7818"},
        {b"origin": b"http://127.0.0.1:7818"},
        {b"origin": b"null"},
        {b"sec-fetch-site": b"none"},
        {b"sec-fetch-mode": b"navigate"},
        {b"sec-purpose": b"prefetch"},
    ],
)
def test_all_others_are_refused(fields: dict[bytes, bytes | None]) -> None:
    assert "refused" == verdict(fields)


@pytest.mark.parametrize("target", [b"/", b"/metrics/", b"/metrics?", b"/Metrics", b"//metrics", b"/v1", b"/healthz/"])
def test_there_are_two_paths_and_no_more(target: bytes) -> None:
    assert "refused" == verdict(target=target)


@pytest.mark.parametrize("method", [b"POST", b"HEAD", b"OPTIONS", b"get"])
def test_there_is_one_method(method: bytes) -> None:
    assert "refused" == verdict(method=method)


def test_what_is_no_request_is_malformed() -> None:
    assert "malformed" == verdict(version=b"1.0")
    assert "malformed" == verdict(target=b"http://127.0.0.1:7818/metrics")
    assert "malformed" == verdict({b"host": None})
    assert "malformed" == verdict(more=((b"host", b"localhost:7818"),))


def test_two_bearers_are_none() -> None:
    assert "refused" == verdict(more=((b"authorization", b"Bearer " + BEARER),))
