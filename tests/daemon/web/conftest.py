"""Tests of pages in browsers."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.web.browsers import Browser
from tests.daemon.web.shops import Shop, opened


@pytest.fixture
def at_the_shop(counter: Any, tmp_path: Path) -> Callable[..., None]:
    """Runs a test with a station and a browser."""

    def run(
        work: Callable[[Shop], Awaitable[None]],
        kind: type[Browser],
        arguments: Callable[[int], tuple[str, ...]] = lambda _port: (),
        *,
        headers: Mapping[str, str] | None = None,
        host: str = "127.0.0.1",
        environ: Mapping[str, str] | None = None,
        files: Callable[[int], Mapping[str, str]] = lambda _port: {},
    ) -> None:
        async def main() -> None:
            async with opened(
                counter,
                tmp_path,
                kind,
                arguments,
                headers=headers or {},
                host=host,
                environ=environ or {},
                files=files,
            ) as shop:
                await work(shop)

        asyncio.run(main())

    return run
