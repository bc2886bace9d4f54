"""Scripts: their parts follow one another, silences have an end, and what has no end has no successor."""

from __future__ import annotations

import pytest

from saga_engine.testing.script import Fails, Rejects, Script, Scripted, Silence, Succeeds

SECOND = 1_000_000


class Time:
    """A clock that stands where it was put."""

    def __init__(self) -> None:
        self.at = 0

    def __call__(self) -> int:
        return self.at


@pytest.fixture
def time() -> Time:
    return Time()


def test_parts_follow_one_another_and_the_last_one_stays(time: Time) -> None:
    script = Script(time).fails(times=2).rejects("busy", "later", times=1).succeeds({"n": 1})
    told = [script.outcome() for _ in range(5)]
    assert told == [Fails("error", "")] * 2 + [Rejects("busy", "later")] + [Succeeds({"n": 1})] * 2


def test_after_its_last_part_a_script_says_nothing(time: Time) -> None:
    script = Script(time).succeeds(times=1)
    assert (script.outcome(), script.outcome()) == (Succeeds({}), None)


def test_a_silence_begins_with_the_first_command_and_ends_after_its_time(time: Time) -> None:
    script = Script(time).is_silent(for_="10s").succeeds()
    time.at = 5 * SECOND
    assert script.silence() == Silence(15 * SECOND, after_effect=False)
    time.at = 14 * SECOND
    assert script.silence() == Silence(15 * SECOND, after_effect=False)
    time.at = 15 * SECOND
    assert script.silence() is None
    assert script.outcome() == Succeeds({})


def test_a_silence_after_the_effect_lets_the_next_part_happen(time: Time) -> None:
    script = Script(time).is_silent(for_="10s", after_effect=True).rejects("no", times=1).succeeds()
    assert script.silence() == Silence(10 * SECOND, after_effect=True)
    assert (script.outcome(), script.outcome()) == (Rejects("no", ""), Succeeds({}))


def test_two_silences_follow_one_another(time: Time) -> None:
    script = Script(time).is_silent(for_="1s").is_silent()
    assert script.silence() == Silence(SECOND, after_effect=False)
    time.at = SECOND
    assert script.silence() == Silence(None, after_effect=False)


def test_nothing_can_follow_what_has_no_end(time: Time) -> None:
    with pytest.raises(ValueError, match="nothing can follow"):
        Script(time).succeeds().fails()
    with pytest.raises(ValueError, match="nothing can follow"):
        Script(time).is_silent().succeeds()


def test_mistakes_are_told_with_what_was_expected(time: Time) -> None:
    with pytest.raises(ValueError, match="a duration: an integer and ms, s, m, h or d"):
        Script(time).is_silent(for_="ten seconds")
    with pytest.raises(ValueError, match="must match"):
        Script(time).rejects("Card Declined")
    with pytest.raises(ValueError, match="at least once"):
        Script(time).fails(times=0)


def test_a_script_concerns_the_payloads_that_have_its_values(time: Time) -> None:
    scripted = Scripted("reserve", {"sku": "B"}, Script(time))
    assert scripted.concerns("reserve", {"sku": "B", "count": 2})
    assert not scripted.concerns("reserve", {"sku": "A"})
    assert not scripted.concerns("reserve", {})
    assert not scripted.concerns("reserve", "B")
    assert not scripted.concerns("release", {"sku": "B"})
    assert Scripted(None, {}, Script(time)).concerns("release", None)
