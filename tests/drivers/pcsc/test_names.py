"""Reader names of the platforms, and ids that never follow an index.

The names are of the form that pcsc-lite and Windows give.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_drivers.pcsc.names import ReaderName, StableIds, is_simulated, parse_name

LITE = "Gemalto PC Twin Reader (70D7E2EE) 00 00"
OMNIKEY = "HID Global OMNIKEY 3x21 Smart Card Reader [OMNIKEY 3x21 Smart Card Reader] 01 00"


@pytest.mark.parametrize(
    ("full", "model", "serial", "unit", "slot"),
    [
        (LITE, "Gemalto PC Twin Reader", "70D7E2EE", "00", 0),
        (OMNIKEY, "HID Global OMNIKEY 3x21 Smart Card Reader [OMNIKEY 3x21 Smart Card Reader]", "", "01", 0),
        ("Virtual PCD 00 01", "Virtual PCD", "", "00", 1),
        ("Ingenico Twin30 0A 01", "Ingenico Twin30", "", "0A", 1),
        ("Gemplus USB Smart Card Reader 0", "Gemplus USB Smart Card Reader", "", "0", 0),
        ("OMNIKEY CardMan 3121", "OMNIKEY CardMan 3121", "", "", 0),
        ("", "", "", "", 0),
    ],
)
def test_names_are_taken_apart(full: str, model: str, serial: str, unit: str, slot: int) -> None:
    name = parse_name(full)
    assert (name.model, name.serial, name.unit, name.slot) == (model, serial, unit, slot)


def test_only_pcsc_lite_names_would_tell_a_serial_number() -> None:
    assert parse_name(OMNIKEY).complete
    assert not parse_name("Gemplus USB Smart Card Reader 0").complete


@pytest.mark.parametrize("index", ["00", "01", "0A"])
def test_the_index_is_not_in_the_id(index: str) -> None:
    assert StableIds().assign(parse_name(f"Gemalto PC Twin Reader (70D7E2EE) {index} 00")) == (
        "pcsc:gemalto-pc-twin-reader@70d7e2ee"
    )


def test_the_slots_of_a_device_are_told_apart() -> None:
    ids = StableIds()
    assert [ids.assign(parse_name(f"Ingenico Twin30 00 0{slot}")) for slot in (0, 1)] == [
        "pcsc:ingenico-twin30",
        "pcsc:ingenico-twin30.slot-1",
    ]


def test_twins_keep_their_ordinals_while_either_stays() -> None:
    ids = StableIds()
    first, second = parse_name("Twin 00 00"), parse_name("Twin 01 00")
    assert (ids.assign(first), ids.assign(second)) == ("pcsc:twin", "pcsc:twin~2")
    ids.release(first.full)
    assert ids.assign(second) == "pcsc:twin~2"
    assert ids.assign(parse_name("Twin 02 00")) == "pcsc:twin"
    ids.release(second.full)
    assert ids.assign(parse_name("Twin 01 00")) == "pcsc:twin~2"


def test_a_twin_has_its_ordinal_in_all_its_slots() -> None:
    ids = StableIds()
    names = ["Twin 00 00", "Twin 00 01", "Twin 01 00", "Twin 01 01"]
    assert [ids.assign(parse_name(name)) for name in names] == [
        "pcsc:twin",
        "pcsc:twin.slot-1",
        "pcsc:twin~2",
        "pcsc:twin~2.slot-1",
    ]


def test_twins_with_serial_numbers_need_no_ordinal() -> None:
    ids = StableIds()
    assert ids.assign(ReaderName("Twin 0", "Twin", "A1", "0")) == "pcsc:twin@a1"
    assert ids.assign(ReaderName("Twin 1", "Twin", "A2", "1")) == "pcsc:twin@a2"


@given(full=st.text(max_size=60))
def test_any_name_gives_an_id_fit_for_a_command_line(full: str) -> None:
    identifier = StableIds().assign(parse_name(full))
    assert identifier.startswith("pcsc:")
    assert len(identifier) > len("pcsc:")
    assert set(identifier) <= set("abcdefghijklmnopqrstuvwxyz0123456789-:@~.")


@given(names=st.lists(st.sampled_from([f"Twin {unit:02X} {slot:02X}" for unit in range(3) for slot in range(2)])))
def test_no_two_plugged_readers_have_the_same_id(names: list[str]) -> None:
    ids = StableIds()
    plugged: dict[str, str] = {}
    for name in names:
        if name in plugged:
            ids.release(name)
            del plugged[name]
        else:
            plugged[name] = ids.assign(parse_name(name))
        assert len(set(plugged.values())) == len(plugged)


@pytest.mark.parametrize(
    "name",
    [
        "Virtual PCD 00 00",
        "Virtual PCD 00 01",
        "Virtual Smart Card Architecture Virtual PCD 0",
        "Virtual Smart Card Architecture Virtual PCD 00 00",
        "Fabio Ottavi Pipe Reader 0",
        "Bix Virtual Smart Card Reader 0",
        "Microsoft Virtual Smart Card 0",
    ],
)
def test_a_virtual_reader_is_known_under_all_its_names(name: str) -> None:
    assert is_simulated(name)


@pytest.mark.parametrize(
    "name", ["VMware Virtual USB CCID 00 00", "Gemalto PC Twin Reader 00 00", "Microsoft Usbccid Smartcard Reader 0"]
)
def test_a_real_reader_is_no_virtual_one(name: str) -> None:
    assert not is_simulated(name)
