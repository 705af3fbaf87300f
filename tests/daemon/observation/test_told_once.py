"""Log lines that somebody else causes: each subject is told once, and no more of them than there is room for."""

from vitale_reader.daemon.observation.told_once import MOST, ToldOnce


def test_each_subject_is_told_once_and_the_last_new_ones_not_at_all() -> None:
    subjects = ToldOnce()
    assert [True, False, True] == [subjects.is_due(subject) for subject in ("one", "one", "other")]
    assert MOST - 2 == sum(subjects.is_due(number) for number in range(2 * MOST))
    assert not subjects.is_due("one")
