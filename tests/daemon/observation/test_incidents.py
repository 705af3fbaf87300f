"""Incidents, and tasks whose result nobody waits for."""

import asyncio

import pytest

from vitale_reader.daemon.observation.incidents import BackgroundTasks, incident


def test_whoever_is_outside_learns_the_id_of_a_fault_alone(caplog: pytest.LogCaptureFixture) -> None:
    told = incident(ZeroDivisionError("secret"))
    assert [f"incident {told.data['incident']}"] == caplog.messages
    assert "secret" not in f"{told} {told.data}"
    assert caplog.records[0].exc_info is not None


def test_what_is_begun_meanwhile_is_waited_for_and_a_fault_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    done: list[str] = []

    async def main() -> None:
        tasks = BackgroundTasks(lambda: done.append("ended"))

        async def second() -> None:
            await asyncio.sleep(0)
            done.append("second")
            raise ZeroDivisionError

        async def first() -> None:
            await asyncio.sleep(0)
            tasks.spawn(second())
            done.append("first")

        tasks.spawn(first())
        assert 1 == len(tasks)
        await tasks.finish()
        assert 0 == len(tasks)

    asyncio.run(main())
    assert ["first", "ended", "second", "ended"] == done
    assert 1 == len([message for message in caplog.messages if message.startswith("incident ")])


def test_work_that_is_over_and_not_yet_told_of_is_waited_for() -> None:
    """From Python 3.12 on a gather of what is over gives nobody else a turn."""

    async def main() -> None:
        tasks = BackgroundTasks()

        async def over() -> None:
            """Ends at once."""

        task = tasks.spawn(over())
        await asyncio.sleep(0)
        assert (True, 1) == (task.done(), len(tasks))
        await tasks.finish()
        assert 0 == len(tasks)

    asyncio.run(main())


def test_a_task_that_is_cancelled_is_no_incident(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        tasks = BackgroundTasks()
        tasks.spawn(asyncio.Event().wait()).cancel()
        await tasks.finish()

    asyncio.run(main())
    assert [] == caplog.messages
