"""Resolvers by name; ``none`` is always there, and the others are loaded when they are asked for."""

import asyncio
import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from vitale_protocol.errors import ConfigurationInvalid, ContextUnknown, ResolverUnavailable, ToolMissing
from vitale_reader.resolvers import registry
from vitale_reader.resolvers.apcv_soap import ApcvSoapResolver
from vitale_reader.resolvers.licensed_plugins import ASSERTIONS, RIGHTS
from vitale_reader.resolvers.none import NoResolver
from vitale_reader.resolvers.registry import RESOLVERS, available, load_class, load_resolver


def test_what_is_shipped() -> None:
    assert {"none", "apcv-soap"} <= set(available(RESOLVERS))
    assert "simulator" in available(ASSERTIONS)
    assert "simulator" in available(RIGHTS)
    assert load_resolver("none") is NoResolver
    assert load_resolver("apcv-soap") is ApcvSoapResolver


def test_nothing_is_loaded_before_it_is_asked_for() -> None:
    program = "import sys, vitale_reader.daemon.app; print(sorted({'httpx', 'lxml'} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=True)
    assert answer.stdout == "[]\n"


@pytest.mark.parametrize(
    ("places", "error"),
    [
        ([], ConfigurationInvalid),
        (["json:JSONDecoder"], ConfigurationInvalid),
        (["json:dumps"], ConfigurationInvalid),
        (["json:Absent"], ConfigurationInvalid),
        (["absent_package:X"], ToolMissing),
        (["json:JSONDecoder", "json:JSONEncoder"], ConfigurationInvalid),
    ],
)
def test_what_cannot_be_used_is_told(
    places: list[str], error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [EntryPoint("x", place, RESOLVERS) for place in places]

    def entry_points(**_: str) -> list[EntryPoint]:
        return found

    monkeypatch.setattr(registry, "entry_points", entry_points)
    with pytest.raises(error):
        load_resolver("x")


def test_the_same_place_twice_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [EntryPoint("x", "json:JSONDecoder", RIGHTS)] * 2

    def entry_points(**_: str) -> list[EntryPoint]:
        return found

    monkeypatch.setattr(registry, "entry_points", entry_points)
    assert load_class(RIGHTS, "x", "path").__name__ == "JSONDecoder"


def test_none_resolves_nothing_and_has_no_options() -> None:
    async def main() -> None:
        resolver = NoResolver({}, "production")
        await resolver.open()
        assert not resolver.resolves
        with pytest.raises(ResolverUnavailable):
            await resolver.resolve(b"s", nonce="n")
        with pytest.raises(ContextUnknown):
            await resolver.restore("ctx")
        with pytest.raises(ContextUnknown):
            await resolver.release("ctx")
        await resolver.close()
        with pytest.raises(ConfigurationInvalid):
            await NoResolver({"url": "x"}, "production").open()

    asyncio.run(main())
