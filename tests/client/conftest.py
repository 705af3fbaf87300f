import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.fake_daemon import FakeDaemon


@pytest.fixture
def home() -> Iterator[Path]:
    # A short path: a Unix socket's is bounded to some 100 bytes.
    with tempfile.TemporaryDirectory(prefix="vr-") as folder:
        yield Path(folder)


@pytest.fixture
def daemon(home: Path) -> Iterator[FakeDaemon]:
    fake = FakeDaemon(home)
    fake.start()
    yield fake
    fake.close()
