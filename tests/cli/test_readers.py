"""How readers are told of."""

from vitale_protocol.events import Reader, ReaderStation
from vitale_reader.cli.readers import named


def test_a_reader_of_another_desk_is_named_with_its_station() -> None:
    here = Reader(id="pcsc:slot", name="Slot", driver="pcsc", media=("vitale-card",), state="empty")
    there = Reader(
        id="pcsc:slot@s",
        name="Slot",
        driver="pcsc",
        media=("vitale-card",),
        state="empty",
        station=ReaderStation(id="s", name="Counter 2"),
    )
    assert (named(here), named(there)) == ("Slot", "Slot · Counter 2")
