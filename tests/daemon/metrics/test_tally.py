"""The tally: what is counted under which labels, and that nobody fills the memory with labels."""

from vitale_protocol.metrics.families import Distribution, Family, Sample
from vitale_reader.daemon.metrics.tally import MOST_SERIES, OTHER, Tally
from vitale_reader.daemon.observation.events import CallRefused, Delivered, NotRead, StoreWork, Unanswered
from vitale_reader.daemon.observation.timeline import StageTime

DELIVERED = Delivered(
    medium="vitale-card",
    driver="pcsc",
    outcome="ok",
    simulated=False,
    began=10.0,
    ended=10.004,
    stages=(StageTime("read", 9.7, 10.0), StageTime("sign", 10.001, 10.002), StageTime("keep", 10.002, 10.0035)),
)


def family(tally: Tally, name: str) -> Family:
    (found,) = (each for each in tally.families() if each.name == f"vitale_reader_{name}")
    return found


def counts(tally: Tally, name: str) -> dict[tuple[str, ...], float]:
    return {sample.labels: sample.value for sample in family(tally, name).samples}


def distributions(tally: Tally, name: str) -> dict[tuple[str, ...], Distribution]:
    return {each.labels: each for each in family(tally, name).distributions}


def test_before_anything_happens_plain_counters_are_zero() -> None:
    assert (Sample((), 0.0),) == family(Tally(), "store_failures").samples
    assert () == family(Tally(), "presentations").samples


def test_presentations_count_by_what_became_of_them() -> None:
    tally = Tally()
    tally(DELIVERED)
    tally(DELIVERED)
    tally(NotRead(medium="", driver="pcsc", outcome="medium_unreadable"))
    tally(Unanswered(outcome="presentation_timeout"))
    tally(CallRefused(limit="opens"))
    assert {
        ("vitale-card", "pcsc", "ok"): 2.0,
        ("unknown", "pcsc", "medium_unreadable"): 1.0,
    } == counts(tally, "presentations")
    assert {("presentation_timeout",): 1.0} == counts(tally, "requests_unanswered")
    assert {("opens",): 1.0} == counts(tally, "calls_refused")


def test_stages_are_spread_each_for_itself_and_the_whole_begins_with_the_reading() -> None:
    tally = Tally()
    tally(DELIVERED)
    whole = distributions(tally, "presentation_seconds")[("vitale-card",)]
    assert (1, 0.304) == (sum(whole.counts), round(whole.total, 6))
    stages = distributions(tally, "presentation_stage_seconds")
    assert {("vitale-card", "read"), ("vitale-card", "sign"), ("vitale-card", "keep")} == stages.keys()
    assert 0.0015 == round(stages["vitale-card", "keep"].total, 6)


def test_a_bucket_holds_what_is_up_to_its_bound() -> None:
    tally = Tally()
    for seconds in (0.001, 0.0011, 99.0):
        tally(StoreWork(waited=0.0, seconds=seconds, answered=True))
    found = distributions(tally, "store_seconds")[()]
    assert (1, 1, 1) == (found.counts[0], found.counts[1], found.counts[-1])
    assert 3 == sum(found.counts)


def test_work_that_the_store_did_not_answer_is_a_failure() -> None:
    tally = Tally()
    tally(StoreWork(waited=0.5, seconds=4.0, answered=False))
    assert {(): 1.0} == counts(tally, "store_failures")
    assert 0.5 == distributions(tally, "store_wait_seconds")[()].total


def test_labels_without_end_end_in_one() -> None:
    tally = Tally()
    for number in range(MOST_SERIES + 10):
        tally(NotRead(medium=f"m{number}", driver="plug-in", outcome="medium_unreadable"))
    found = counts(tally, "presentations")
    assert MOST_SERIES + 1 == len(found)
    assert 10.0 == found[OTHER, OTHER, OTHER]
