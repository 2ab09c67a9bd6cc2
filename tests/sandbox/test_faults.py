"""Which fault hits which request."""

from collections import Counter

import pytest
from leadflood.sandbox.faults import RATES, Fault, FaultInjector, FaultProfile


def test_the_same_order_of_requests_meets_the_same_faults() -> None:
    fault_injector = FaultInjector(profile=FaultProfile.HOSTILE)

    first = [fault_injector.pick_fault(7, "apollo", number) for number in range(500)]
    again = [fault_injector.pick_fault(7, "apollo", number) for number in range(500)]
    elsewhere = [fault_injector.pick_fault(7, "hunter", number) for number in range(500)]

    assert first == again
    assert first != elsewhere


@pytest.mark.parametrize("profile", FaultProfile)
def test_faults_come_as_often_as_their_rates_say(profile: FaultProfile) -> None:
    fault_injector = FaultInjector(profile=profile)

    hits = [fault_injector.pick_fault(7, "apollo", number) for number in range(20_000)]

    counted = Counter(injection.fault for injection in hits if injection)
    assert set(counted) == set(RATES[profile])
    for fault, rate in RATES[profile].items():
        assert 0.4 * rate < counted[fault] / 20_000 < 1.6 * rate


def test_hostile_weather_knows_every_fault() -> None:
    assert set(RATES[FaultProfile.HOSTILE]) == set(Fault)


def test_weather_can_be_kept_to_one_provider() -> None:
    fault_injector = FaultInjector(rates={Fault.CUT: 1.0}, providers=("trengo",))

    assert fault_injector.pick_fault(7, "apollo", 0) is None
    assert fault_injector.pick_fault(7, "trengo", 0) is not None


def test_half_of_the_cuts_come_before_the_work() -> None:
    fault_injector = FaultInjector(rates={Fault.CUT: 1.0})

    hits = [fault_injector.pick_fault(7, "apollo", number) for number in range(1_000)]

    assert 400 < sum(injection is not None and injection.is_early for injection in hits) < 600
