"""The stages of a presentation: each is noted when it ends, however that is."""

import pytest

from vitale_reader.daemon.observation.events import CallRefused, Event, all_of, unobserved
from vitale_reader.daemon.observation.timeline import Timeline


def test_stages_follow_one_another() -> None:
    timeline = Timeline()
    timeline.was_read(0.25)
    with timeline.stage("sign"):
        pass
    with pytest.raises(ZeroDivisionError), timeline.stage("keep"):
        raise ZeroDivisionError
    assert ["read", "sign", "keep"] == [each.stage for each in timeline.stages]
    read, sign, keep = timeline.stages
    assert 0.25 == pytest.approx(read.seconds)
    assert read.ended <= sign.began <= sign.ended <= keep.began <= keep.ended


def test_a_driver_that_does_not_tell_how_long_it_read_has_no_such_stage() -> None:
    timeline = Timeline()
    timeline.was_read(0.0)
    assert [] == timeline.stages


def test_all_observers_are_told() -> None:
    heard: list[tuple[int, Event]] = []
    event = CallRefused(limit="calls")
    all_of([lambda each: heard.append((1, each)), lambda each: heard.append((2, each))])(event)
    assert [(1, event), (2, event)] == heard
    assert all_of([]) is unobserved
