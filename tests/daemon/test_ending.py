"""The stages of an end: each has its time, and its turn."""

import asyncio

import pytest

from vitale_reader.daemon import lifecycle
from vitale_reader.daemon.lifecycle import Ending


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LIMIT", "WHOLE", "LEAST"):
        monkeypatch.setattr(lifecycle, name, 0.01)


async def never() -> None:
    await asyncio.Event().wait()


@pytest.mark.usefixtures("quick")
def test_each_stage_has_its_turn_when_the_time_of_all_is_over(caplog: pytest.LogCaptureFixture) -> None:
    done: list[str] = []

    async def main() -> None:
        async def end() -> None:
            done.append("last")

        ending = Ending(bounded=True)
        await ending.aside("beside", never)
        await ending.stage("first", never)
        await ending.stage("last", end)
        await ending.finish()

    asyncio.run(main())
    assert ["last"] == done
    assert ["first", "beside"] == [record.getMessage().partition(":")[0] for record in caplog.records]


@pytest.mark.usefixtures("quick")
def test_without_a_bound_a_stage_takes_its_time_and_its_fault_is_raised() -> None:
    released = asyncio.Event()

    async def waits() -> None:
        await released.wait()
        raise OSError("a fault")

    async def main() -> None:
        ending = Ending(bounded=False)
        asyncio.get_running_loop().call_later(0.05, released.set)
        with pytest.raises(OSError, match="a fault"):
            await ending.stage("one", waits)
        await ending.finish()

    asyncio.run(main())


@pytest.mark.parametrize("bounded", [True, False])
def test_a_fault_of_what_ends_aside_keeps_nothing_else_from_being_waited_for(
    bounded: bool, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[str] = []

    async def main() -> None:
        others_end = asyncio.Event()

        async def fails(fault: str) -> None:
            raise OSError(fault)

        async def waits() -> None:
            await others_end.wait()
            done.append("waited for")

        ending = Ending(bounded=bounded)
        await ending.aside("first", lambda: fails("the first"))
        await ending.aside("second", waits)
        await ending.aside("third", lambda: fails("another"))
        asyncio.get_running_loop().call_later(0.05, others_end.set)
        with pytest.raises(OSError, match="the first"):
            await ending.finish()

    asyncio.run(main())
    assert ["waited for"] == done
    assert ["third: not ended in order"] == caplog.messages
