"""Which fault hits which request."""

from collections import Counter

import pytest
from leadflood.sandbox.faults import RATES, Fault, FaultProfile, Weather


def test_the_same_order_of_requests_meets_the_same_faults() -> None:
    weather = Weather(profile=FaultProfile.HOSTILE)

    first = [weather.strike(7, "apollo", number) for number in range(500)]
    again = [weather.strike(7, "apollo", number) for number in range(500)]
    elsewhere = [weather.strike(7, "hunter", number) for number in range(500)]

    assert first == again
    assert first != elsewhere


@pytest.mark.parametrize("profile", FaultProfile)
def test_faults_come_as_often_as_their_rates_say(profile: FaultProfile) -> None:
    weather = Weather(profile=profile)

    hits = [weather.strike(7, "apollo", number) for number in range(20_000)]

    counted = Counter(hit.fault for hit in hits if hit)
    assert set(counted) == set(RATES[profile])
    for fault, rate in RATES[profile].items():
        assert 0.4 * rate < counted[fault] / 20_000 < 1.6 * rate


def test_hostile_weather_knows_every_fault() -> None:
    assert set(RATES[FaultProfile.HOSTILE]) == set(Fault)


def test_weather_can_be_kept_to_one_provider() -> None:
    weather = Weather(rates={Fault.CUT: 1.0}, providers=("trengo",))

    assert weather.strike(7, "apollo", 0) is None
    assert weather.strike(7, "trengo", 0) is not None


def test_half_of_the_cuts_come_before_the_work() -> None:
    weather = Weather(rates={Fault.CUT: 1.0})

    hits = [weather.strike(7, "apollo", number) for number in range(1_000)]

    assert 400 < sum(hit is not None and hit.is_early for hit in hits) < 600
