"""``reasons``: what the catalogue calls an error of a reader."""

from vitale_drivers.readers.reasons import reason_of
from vitale_protocol.errors import ReaderBusy, ReaderGone


def test_a_reason_names_its_variant_where_one_is_known() -> None:
    assert reason_of(ReaderBusy("x", data={"service": "pn533"})) == "reader_busy.pn533"
    assert reason_of(ReaderGone("x")) == "reader_gone"
    assert reason_of(ReaderBusy("x", data={"service": 7})) == "reader_busy"
