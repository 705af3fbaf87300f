"""Tests of pages in browsers."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.web.browsers import Browser, browser, driven, started
from tests.daemon.web.shops import Shop, opened


def no_arguments(_port: int) -> tuple[str, ...]:
    """Nothing more than the browser's own."""
    return ()


def no_files(_port: int) -> Mapping[str, str]:
    """A profile as it is made."""
    return {}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[type[Browser]], str]]:
    """Where a browser is driven, each started once: it takes one to three seconds of a processor."""
    found = dict[type[Browser], str]()
    with contextlib.ExitStack() as ending:

        def address(kind: type[Browser]) -> str:
            if kind not in found:
                profile = tmp_path_factory.mktemp(kind.program) / "profile"
                found[kind] = ending.enter_context(started(kind, profile))
            return found[kind]

        yield address


@pytest.fixture
def at_the_shop(counter: Any, tmp_path: Path, shared: Callable[[type[Browser]], str]) -> Callable[..., None]:
    """Runs a test with a station and a browser.

    Where nothing is asked of its command line and its profile, it is a page apart in one that tests share.
    """

    def run(
        work: Callable[[Shop], Awaitable[None]],
        kind: type[Browser],
        arguments: Callable[[int], tuple[str, ...]] = no_arguments,
        *,
        headers: Mapping[str, str] | None = None,
        host: str = "127.0.0.1",
        environ: Mapping[str, str] | None = None,
        files: Callable[[int], Mapping[str, str]] = no_files,
    ) -> None:
        shares = arguments is no_arguments and files is no_files and not environ
        address = shared(kind) if shares else ""

        def shown_by(port: int) -> AbstractAsyncContextManager[Browser]:
            if shares:
                return driven(kind, address, apart=True)
            return browser(kind, tmp_path / "profile", *arguments(port), environ=environ, files=files(port))

        async def main() -> None:
            async with opened(counter, tmp_path, shown_by, headers=headers or {}, host=host) as shop:
                await work(shop)

        asyncio.run(main())

    return run
