"""A setting that cannot be used is refused with its place, its choices and the name that was meant."""

from typing import Annotated, Literal

import msgspec
import pytest

from vitale_protocol.configuration.settings import convert_settings, nearest
from vitale_protocol.errors import ConfigurationInvalid


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    depth: Annotated[int, msgspec.Meta(ge=1, le=9)] = 1
    parity: Literal["none", "even", "odd"] | None = None


class Outer(msgspec.Struct, forbid_unknown_fields=True):
    devices: tuple[str, ...] = ()
    bits: Literal[7, 8] = 8
    inner: Inner = msgspec.field(default_factory=Inner)
    many: dict[str, Inner] = {}
    several: tuple[Inner, ...] = ()


def test_what_is_right_is_converted() -> None:
    assert convert_settings({"devices": ["a"], "bits": 7}, Outer) == Outer(devices=("a",), bits=7)


@pytest.mark.parametrize(
    ("settings", "path", "choices", "near"),
    [
        ({"devizes": []}, "t.devizes", ["devices", "bits", "inner", "many", "several"], "devices"),
        ({"cameras": []}, "t.cameras", ["devices", "bits", "inner", "many", "several"], None),
        ({"inner": {"deph": 1}}, "t.inner.deph", ["depth", "parity"], "depth"),
        ({"inner": {"parity": "evne"}}, "t.inner.parity", ["even", "none", "odd"], "even"),
        ({"bits": 9}, "t.bits", [7, 8], None),
        ({"several": [{}, {"deph": 1}]}, "t.several[1].deph", ["depth", "parity"], "depth"),
        ({"devices": 1}, "t.devices", None, None),
        ({"inner": {"depth": 10}}, "t.inner.depth", None, None),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(
    settings: dict[str, object], path: str, choices: list[str | int] | None, near: str | None
) -> None:
    with pytest.raises(ConfigurationInvalid) as caught:
        convert_settings(settings, Outer, table="t")
    data, detail = caught.value.data, caught.value.detail
    assert (data["path"], data.get("choices"), data.get("nearest")) == (path, choices, near)
    assert detail.startswith(f"{path}: ")
    assert near is None or f"did you mean {near}?" in detail


def test_a_table_of_tables_is_refused_with_its_place_as_far_as_it_is_known() -> None:
    with pytest.raises(ConfigurationInvalid) as caught:
        convert_settings({"many": {"a": {"deph": 1}}}, Outer)
    assert (str(caught.value.data["path"]).startswith("many"), caught.value.data["nearest"]) == (True, "depth")


def test_the_nearest_name_is_a_name() -> None:
    assert nearest("scaner", (1, "camera", "scanner", None)) == "scanner"
    assert nearest("zzz", ("camera", "scanner")) is None
