"""The content security policy of the dashboard, by Google's CSP evaluator and by what it must have in any case."""

import re

import pytest

from tests.node_programs import NODE, node_program, run_node
from vitale_reader.web.dashboard.rules import headers

HOST = "desk-0123456789abcdef0123456789abcdef.localhost:41873"
POLICY: str = re.findall(r"Content-Security-Policy: (.+)\r\n", headers(HOST, "text/html", 1).decode())[0]
DIRECTIVES: dict[str, set[str]] = {name: set(values) for name, *values in (part.split() for part in POLICY.split(";"))}

WITH_EVALUATOR = pytest.mark.skipif(
    node_program("csp_evaluator", "dist", "evaluator.js") is None,
    reason="the CSP evaluator is not installed: `make setup` does that",
)


def evaluated(policy: str) -> list[str]:
    return run_node(NODE / "policy.mjs", text=policy).splitlines()


@WITH_EVALUATOR
def test_the_evaluator_finds_nothing_but_that_scripts_are_ours() -> None:
    """It would have a nonce rather than 'self', for sites that serve what others upload: here nobody does."""
    assert ["MEDIUM_MAYBE SCRIPT_ALLOWLIST_BYPASS script-src 'self'"] == evaluated(POLICY)


@WITH_EVALUATOR
@pytest.mark.parametrize(
    ("kept", "put", "finding"),
    [
        ("script-src 'self'", "script-src 'self' 'unsafe-inline'", "HIGH SCRIPT_UNSAFE_INLINE"),
        ("script-src 'self'", "script-src 'self' 'unsafe-eval'", "UNSAFE_EVAL"),
        ("script-src 'self'", "script-src *", "HIGH PLAIN_WILDCARD"),
        ("default-src 'none'; ", "", "HIGH MISSING_DIRECTIVES object-src"),
        ("; require-trusted-types-for 'script'", "", "REQUIRE_TRUSTED_TYPES_FOR_SCRIPTS"),
    ],
)
def test_the_evaluator_would_find_what_is_weakened(kept: str, put: str, finding: str) -> None:
    assert kept in POLICY
    found = evaluated(POLICY.replace(kept, put))
    assert any(finding in each for each in found), found


def test_nothing_is_allowed_but_what_is_named() -> None:
    assert {"'none'"} == DIRECTIVES["default-src"]
    assert "object-src" not in DIRECTIVES
    for closed in ("base-uri", "frame-ancestors"):
        assert {"'none'"} == DIRECTIVES[closed]
    assert {"'script'"} == DIRECTIVES["require-trusted-types-for"]
    allowed = {value for values in DIRECTIVES.values() for value in values}
    assert allowed == {"'none'", "'self'", "'script'", "blob:", f"ws://{HOST}"}
    assert "blob:" not in DIRECTIVES["script-src"]
