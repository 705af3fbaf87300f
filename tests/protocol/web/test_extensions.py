"""Extensions of browsers: how a browser names one of them, and the words of a person who starts the host."""

import pytest

from vitale_protocol.errors import LocalMisuse
from vitale_protocol.web.extensions import CHROMIUM_ID, FIREFOX_ID, caller, family, is_call

CHROMIUM = [f"chrome-extension://{CHROMIUM_ID}/"]
FIREFOX = ["/usr/lib/mozilla/native-messaging-hosts/vitale_reader.json", FIREFOX_ID]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [(CHROMIUM, CHROMIUM_ID), ([*CHROMIUM, "--parent-window=0"], CHROMIUM_ID), (FIREFOX, FIREFOX_ID)],
)
def test_a_browser_names_the_extension(arguments: list[str], expected: str) -> None:
    assert expected == caller(arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--help"],
        ["serve", "--home"],
        [f"chrome-extension://{CHROMIUM_ID}"],
        [f"chrome-extension://{CHROMIUM_ID}/page.html"],
        [f"chrome-extension://{CHROMIUM_ID.upper()}/"],
        [f"chrome-extension://{CHROMIUM_ID}/\n"],
        [FIREFOX[0]],
        [FIREFOX[0], f"{FIREFOX_ID}\n"],
        [FIREFOX[0], CHROMIUM_ID],
        [*FIREFOX, "more"],
    ],
)
def test_others_do_not(arguments: list[str]) -> None:
    with pytest.raises(LocalMisuse) as refused:
        caller(arguments)
    assert "native_host" == refused.value.variant


def test_the_words_of_a_browser_are_told_from_commands() -> None:
    assert [True, True, False, False] == [is_call(each) for each in (CHROMIUM, FIREFOX, ["serve"], [])]


def test_an_id_tells_the_browsers_that_it_is_for() -> None:
    assert ("chromium", "firefox") == (family(CHROMIUM_ID), family(FIREFOX_ID))
