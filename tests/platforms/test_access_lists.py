"""Access lists of Windows as text: who else may read, change or replace what; of real folders' lists."""

import pytest

from vitale_reader.access_lists import CHANGE, PUT, READ, AccessEntry, parse, private_list

ME = "S-1-5-21-1004336348-1177238915-682003330-1001"
OTHER = "S-1-5-21-1004336348-1177238915-682003330-1002"

PROFILE = f"O:{ME}D:(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)(A;OICIID;FA;;;{ME})"
#: A folder that was made in C:\\ProgramData.
PROGRAM_DATA = (
    "O:BAD:AI(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)(A;OICIIOID;GA;;;CO)(A;OICIID;0x1200a9;;;BU)(A;CIID;DCLCRPCR;;;BU)"
)
#: A folder that was made in C:\\.
ROOT = (
    f"O:{ME}D:AI(A;OICIID;FA;;;BA)(A;OICIID;FA;;;SY)(A;OICIID;0x1200a9;;;BU)(A;ID;0x1301bf;;;AU)"
    "(A;OICIIOID;SDGXGWGR;;;AU)"
)


@pytest.mark.parametrize(
    ("text", "read", "change", "put"),
    [
        (PROFILE, (), (), ()),
        (PROGRAM_DATA, ("BU",), ("BU",), ("BU",)),
        (ROOT, ("BU", "AU"), ("AU",), ("AU",)),
        (f"O:{ME}{private_list(ME, folder=True)}", (), (), ()),
        (f"O:{ME}{private_list(ME, folder=False)}", (), (), ()),
        (f"O:{ME}D:(A;;FR;;;{OTHER})", (OTHER,), (), ()),
        (f"O:{ME}D:(A;;FRFX;;;WD)", ("WD",), (), ()),
        (f"O:{ME}D:(A;;FX;;;WD)", (), (), ()),
        (f"O:{ME}D:(A;;WDWO;;;WD)", (), ("WD",), ("WD",)),
        (f"O:{ME}D:(D;;FA;;;WD)(A;;FA;;;{ME})", (), (), ()),
        (f'O:{ME}D:(XA;;FR;;;WD;(@User.Title=="PVP"))', ("WD",), (), ()),
        (f"O:{ME}D:P", (), (), ()),
        (f"O:{ME}D:NO_ACCESS_CONTROL", ("WD",), ("WD",), ("WD",)),
        (f"O:{ME}", ("WD",), ("WD",), ("WD",)),
    ],
)
def test_whoever_else_may_do_something_is_named(
    text: str, read: tuple[str, ...], change: tuple[str, ...], put: tuple[str, ...]
) -> None:
    found = parse(text)
    assert (found.others(ME, READ), found.others(ME, CHANGE), found.others(ME, PUT)) == (read, change, put)


@pytest.mark.parametrize(
    ("text", "me", "expected"),
    [
        (PROFILE, ME, False),
        (PROFILE, OTHER, True),
        (PROGRAM_DATA, ME, False),
        ("O:LAD:P(A;;FA;;;LA)", "LA", False),
        ("O:WDD:P(A;;FA;;;WD)", ME, True),
    ],
)
def test_the_owner_is_this_user_or_an_administrator(text: str, me: str, expected: bool) -> None:
    assert parse(text).is_foreign(me) == expected


def test_a_list_that_is_ours_is_inherited_by_what_is_made_in_a_folder() -> None:
    assert private_list(ME, folder=True) == f"D:P(A;OICI;FA;;;{ME})(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"
    assert parse(f"O:{ME}{private_list(ME, folder=False)}").entries == (
        AccessEntry(ME, 0x1F01FF),
        AccessEntry("SY", 0x1F01FF),
        AccessEntry("BA", 0x1F01FF),
    )


@pytest.mark.parametrize("text", ["", "D:P(A;;FA;;;BA)", f"O:{ME}D:(A;;QQ;;;WD)", f"O:{ME}D:(A;;F;;;WD)"])
def test_what_is_no_descriptor_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"owner|rights"):
        parse(text)
