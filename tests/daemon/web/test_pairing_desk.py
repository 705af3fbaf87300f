"""Both sides of a pairing: each page learns what became of it, and of no other."""

import asyncio

import pytest

from tests.daemon.web.test_pairing_window import ASKED, CODE, NONCE_D, NONCE_P, SITE, STATION, WRONG
from vitale_protocol.errors import LimitExceeded, NotAuthenticated, PairingFailed, VitaleError
from vitale_protocol.methods import PairingRevealed
from vitale_reader.daemon.web.pairing_desk import PairingDesk

FIRST, SECOND = (PairingRevealed(client_id=f"page-{number}", scopes=("identity",)) for number in (1, 2))


async def page(desk: PairingDesk, owner: int) -> "asyncio.Task[PairingRevealed]":
    """A page that shows its code, in a window that was opened for it."""
    desk.open()
    now = asyncio.get_running_loop().time()
    desk.window.request(ASKED, owner=owner, site=SITE, pairing=f"p-{owner}", nonce_d=NONCE_D, now=now)
    held = desk.window.reveal(f"p-{owner}", NONCE_P, owner=owner, now=now)
    shown = asyncio.ensure_future(desk.shown(held))
    await desk.asked()
    return shown


def test_a_window_that_is_opened_meanwhile_has_an_outcome_of_its_own() -> None:
    async def main() -> None:
        desk = PairingDesk(STATION)
        first = await page(desk, 1)
        with desk.accepting(CODE) as one:
            second = await page(desk, 2)  # by another who is at the desk, while the first is written
            with desk.accepting(CODE) as other:
                one.revealed = FIRST
                assert not first.done()
                other.revealed = SECOND
            assert SECOND == await second
        assert FIRST == await first

    asyncio.run(main())


def test_a_window_that_is_opened_meanwhile_goes_on() -> None:
    async def main() -> None:
        desk = PairingDesk(STATION)
        first = await page(desk, 1)
        with desk.accepting(CODE) as one:
            second = await page(desk, 2)
            one.revealed = FIRST
        assert (FIRST, False) == (await first, second.done())
        assert desk.window.is_open(asyncio.get_running_loop().time())
        desk.end(PairingFailed("the end"))
        with pytest.raises(NotAuthenticated):
            await second

    asyncio.run(main())


@pytest.mark.parametrize("error", [LimitExceeded("too many", data={"limit": "clients"}), PairingFailed(), KeyError()])
def test_a_page_that_cannot_be_entered_is_told(error: Exception) -> None:
    async def main() -> None:
        desk = PairingDesk(STATION)
        shown = await page(desk, 1)
        with pytest.raises(type(error)), desk.accepting(CODE):
            raise error
        with pytest.raises(NotAuthenticated) as told:
            await shown
        assert isinstance(told.value.__cause__, type(error) if isinstance(error, VitaleError) else PairingFailed)

    asyncio.run(main())


def test_another_code_leaves_the_window_open_and_the_third_closes_it() -> None:
    async def main() -> None:
        desk = PairingDesk(STATION)
        shown = await page(desk, 1)
        for _ in range(2):
            with pytest.raises(PairingFailed) as again, desk.accepting(WRONG):
                pass
            assert ("code", False) == (again.value.variant, shown.done())
        with pytest.raises(PairingFailed) as last, desk.accepting(WRONG):
            pass
        assert not last.value.variant
        with pytest.raises(NotAuthenticated):
            await shown

    asyncio.run(main())
