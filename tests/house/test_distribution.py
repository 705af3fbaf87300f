"""Each of the processes that share the tests begins with some that take long."""

from pathlib import Path

from tests.distribution import dealt

SIZES = {"long": 2, "longer": 3, "a": 1, "b": 4, "c": 2}
TESTS = [(Path(name), number) for name, size in SIZES.items() for number in range(size)]


def files(hands: int) -> list[str]:
    return list(dict.fromkeys(path.name for path, _ in dealt(TESTS, hands, file_of=lambda test: test[0])))


def test_one_process_plays_all_in_their_order() -> None:
    assert TESTS == dealt(TESTS, 1, file_of=lambda test: test[0])


def test_files_are_dealt_whole_to_who_has_least() -> None:
    assert ["long", "a", "b", "longer", "c"] == files(2)
    assert sorted(TESTS) == sorted(dealt(TESTS, 2, file_of=lambda test: test[0]))


def test_more_processes_than_files_are_no_fault() -> None:
    assert ["long", "longer", "a", "b", "c"] == files(9)
