"""GCRA: the arithmetic of a leased allowance: how much may be called, and when. Pure.

Windows up to a minute are paced: the row holds the next free time (GCRA) and hands out moments in
even distances, so that no window of any phase holds more than its calls. Longer windows are counted
and spent as fast as wanted. Headers lower what is left of the current window; nothing raises a
window above what SPEC, settings or the first answer said.

Units: instants are Unix seconds.
Source: GCRA, ITU-T I.371 (1996) annex A, in its virtual scheduling form.
"""

from collections.abc import Sequence

import msgspec

from leadflood.engine.net.calls import LimitHint, Window, WindowKind

PACED_UP_TO_SECONDS = 60.0
LEAST_MARGIN_RATIO = 0.005
BUCKET_MARGIN_RATIO = 0.001
CHEAP_MARGIN_RATIO = 0.0125
CHEAP_SLACK_SECONDS = 0.125
MOST_MARGIN_RATIO = 0.10
LEAST_TOLERANCE_SECONDS = 0.02
SLICES = 60
MOST_HELD_SECONDS = 3600.0
"""For so long a provider's own "not now" is believed; then it is asked again."""


class CountedWindow(msgspec.Struct):
    """A window longer than a minute. `ends_at` 0: its phase is unknown, so any phase is kept.

    `slices` counts by sixtieths of the window as (index since 1970, calls).
    """

    seconds: float
    ends_at: float = 0.0
    used: int = 0
    slices: list[tuple[int, int]] = []


class LearnedWindow(msgspec.Struct):
    """A window known from headers."""

    seconds: float
    calls: int


class AllowanceState(msgspec.Struct):
    """The state in a row. `next_at` is the next free moment of the pace.

    `held_until`: nothing before it (the other side said so). `slow_*`: what is left of the current
    window is spread over the rest of it. `probe_until`: one call is out to learn the limit.
    `is_open`: that call's answer named no limit.
    """

    next_at: float = 0.0
    held_until: float = 0.0
    slow_until: float = 0.0
    slow_interval: float = 0.0
    probe_until: float = 0.0
    is_open: bool = False
    learned: list[LearnedWindow] = []
    counted: list[CountedWindow] = []


class LeaseRequest(msgspec.Struct, frozen=True):
    """A process's request to an allowance.

    `count` moments are asked for, at the instant `now`.
    `lead_seconds` is the least notice, `ahead_seconds` the most.
    `chunk_seconds` bounds how much of the pace one lease hands out.
    `jitter_seconds` is how late calls leave; `probe_seconds` how long a probe may be out.
    """

    count: int
    now: float
    lead_seconds: float = 0.0
    ahead_seconds: float = 0.25
    chunk_seconds: float = 0.25
    jitter_seconds: float = 0.0
    probe_seconds: float = 30.0


class Lease(msgspec.Struct, frozen=True):
    """The moments handed out, and when to ask again. `interval_seconds` 0: no pace.

    `is_open`: no limit is known to the other side either; no lease is needed.
    """

    slots: tuple[float, ...]
    again_seconds: float
    interval_seconds: float = 0.0
    tolerance_seconds: float = LEAST_TOLERANCE_SECONDS
    is_probe: bool = False
    is_open: bool = False


class LimitFeedback(msgspec.Struct, frozen=True):
    """The limit by an answer's headers.

    `sent_at` and `received_at` are when the call left and its answer came.
    `hints` are its headers, `held_seconds` the wait it asked for.
    `ends_probe`: the call was the probe. `is_answer`: the other side answered at all.
    """

    sent_at: float
    received_at: float
    hints: tuple[LimitHint, ...] = ()
    held_seconds: float = 0.0
    ends_probe: bool = False
    is_answer: bool = True


def lease(allowed: AllowanceState, windows: Sequence[Window], ask: LeaseRequest) -> Lease:
    """Hand out moments and write into `allowed` what is gone."""
    effective = effective_windows(allowed, windows)
    if not effective:
        return _lease_unknown(allowed, ask)
    paced = [window for window in effective if window.seconds <= PACED_UP_TO_SECONDS]
    counts = [window for window in effective if window.seconds > PACED_UP_TO_SECONDS]
    interval = max((interval_of(window, ask.jitter_seconds) for window in paced), default=0.0)
    most, free_at = _left_of_counted(allowed, counts, ask.now)
    if most == 0:
        return Lease((), max(0.001, free_at - ask.now), interval)
    if interval > 0:
        most = min(most, max(1, round(ask.chunk_seconds / interval)))
    slots = _pace(allowed, paced, interval, ask, min(most, ask.count))
    _count(allowed, counts, len(slots), ask.now)
    return Lease(
        tuple(slots),
        max(0.001, _earliest(allowed, paced, ask) - ask.now - ask.ahead_seconds),
        interval,
        min((tolerance_of(window, ask.jitter_seconds) for window in paced), default=1.0),
    )


def apply_feedback(
    allowed: AllowanceState,
    windows: Sequence[Window],
    feedback: LimitFeedback,
    jitter_seconds: float,
) -> None:
    """Lower what is left to what an answer said."""
    for hint in feedback.hints:
        _learn(allowed, hint)
    if feedback.ends_probe:
        allowed.probe_until = 0.0
        allowed.is_open = allowed.is_open or feedback.is_answer
    if allowed.learned:
        allowed.is_open = False
    if feedback.held_seconds > 0:
        allowed.held_until = max(allowed.held_until, feedback.received_at + feedback.held_seconds)
    effective = effective_windows(allowed, windows)
    for hint in feedback.hints:
        for window in effective:
            if window.seconds == hint.window_seconds:
                _lower(allowed, window, hint, feedback, jitter_seconds)


def cap_times(
    allowed: AllowanceState, windows: Sequence[Window], now: float, probe_seconds: float
) -> None:
    """Lower the times that only a clock that was ahead can have written."""
    effective = effective_windows(allowed, windows)
    longest = max((window.seconds for window in effective), default=0.0)
    paced = [window for window in effective if window.seconds <= PACED_UP_TO_SECONDS]
    longest_paced = max((window.seconds for window in paced), default=probe_seconds)
    allowed.next_at = min(allowed.next_at, now + longest_paced)
    allowed.held_until = min(allowed.held_until, now + max(longest, MOST_HELD_SECONDS))
    allowed.slow_until = min(allowed.slow_until, now + longest)
    allowed.probe_until = min(allowed.probe_until, now + probe_seconds)
    for counter in allowed.counted:
        counter.ends_at = min(counter.ends_at, now + counter.seconds)
        newest = int(now / (counter.seconds / SLICES))
        counter.slices = [(min(index, newest), calls) for index, calls in counter.slices]


def effective_windows(allowed: AllowanceState, windows: Sequence[Window]) -> list[Window]:
    """Join what SPEC or settings say with what headers say: the lower of both."""
    learned = {window.seconds: window.calls for window in allowed.learned}
    joined = [
        window
        if learned.get(window.seconds, window.calls) >= window.calls
        else msgspec.structs.replace(window, calls=learned[window.seconds])
        for window in windows
    ]
    named = {window.seconds for window in windows}
    joined += [Window(calls, seconds) for seconds, calls in learned.items() if seconds not in named]
    return joined


def interval_of(window: Window, jitter_seconds: float) -> float:
    """Return the seconds between two calls: a little more than the limit asks for."""
    return window.seconds / max(1, window.calls) * (1 + margin_of(window, jitter_seconds))


def margin_of(window: Window, jitter_seconds: float) -> float:
    """Return how far below the limit: the jitter's part of the window, at least 0.5 %.

    Where an eighth of a second of slack costs no more than 1.25 % it is taken too: a loop that
    stalls once must not cost a refusal. A bucket's own capacity absorbs jitter.
    """
    if window.kind is WindowKind.BUCKET:
        return BUCKET_MARGIN_RATIO
    cheap = min(CHEAP_MARGIN_RATIO, CHEAP_SLACK_SECONDS / window.seconds)
    return min(MOST_MARGIN_RATIO, max(LEAST_MARGIN_RATIO, cheap, jitter_seconds / window.seconds))


def tolerance_of(window: Window, jitter_seconds: float) -> float:
    """Return how late a moment may still be used: half of the slack that the pace leaves."""
    slack = window.seconds * margin_of(window, jitter_seconds)
    if window.kind is WindowKind.BUCKET:
        slack = _burst_seconds(window)
    return max(LEAST_TOLERANCE_SECONDS, slack / 2)


def _burst_seconds(window: Window) -> float:
    """Return how much of a bucket's burst is used: half; the other half absorbs jitter."""
    if window.kind is not WindowKind.BUCKET or window.capacity is None:
        return 0.0
    return max(0, window.capacity - 1) / 2 * window.seconds / max(1, window.calls)


def _lease_unknown(allowed: AllowanceState, ask: LeaseRequest) -> Lease:
    start = max(ask.now, allowed.held_until)
    if start > ask.now + ask.ahead_seconds:
        return Lease((), start - ask.now)
    if allowed.is_open:
        return Lease((start,) * ask.count, 0.0, is_open=start == ask.now, tolerance_seconds=1e9)
    if allowed.probe_until > ask.now or ask.count == 0:
        return Lease((), 0.05)
    allowed.probe_until = start + ask.probe_seconds
    allowed.next_at = start
    return Lease((start,), 0.05, is_probe=True, tolerance_seconds=1e9)


def _earliest(allowed: AllowanceState, paced: Sequence[Window], ask: LeaseRequest) -> float:
    burst = min((_burst_seconds(window) for window in paced), default=0.0)
    return max(ask.now + ask.lead_seconds, allowed.held_until, allowed.next_at - burst)


def _pace(
    allowed: AllowanceState, paced: Sequence[Window], interval: float, ask: LeaseRequest, most: int
) -> list[float]:
    slots: list[float] = []
    latest = ask.now + max(ask.ahead_seconds, ask.lead_seconds)
    while len(slots) < most:
        at = _earliest(allowed, paced, ask)
        if at > latest:
            break
        slots.append(at)
        step = interval
        if allowed.slow_until > at and allowed.slow_interval > interval:
            step = allowed.slow_interval
        allowed.next_at = max(allowed.next_at, ask.now + ask.lead_seconds, allowed.held_until)
        allowed.next_at += step
    return slots


def _counted(allowed: AllowanceState, window: Window) -> CountedWindow:
    for counter in allowed.counted:
        if counter.seconds == window.seconds:
            return counter
    counter = CountedWindow(window.seconds)
    allowed.counted.append(counter)
    return counter


def _left_of_counted(
    allowed: AllowanceState, windows: Sequence[Window], now: float
) -> tuple[int, float]:
    most, free_at = 1 << 40, now
    for window in windows:
        counter = _counted(allowed, window)
        remaining, at = _left(counter, window, now)
        most = min(most, remaining)
        if remaining == 0:
            free_at = max(free_at, at)
    return most, free_at


def _left(counter: CountedWindow, window: Window, now: float) -> tuple[int, float]:
    if counter.ends_at > 0:
        if now >= counter.ends_at:
            passed = int((now - counter.ends_at) // counter.seconds) + 1
            counter.ends_at += passed * counter.seconds
            counter.used = 0
        return max(0, window.calls - counter.used), counter.ends_at
    slice_seconds = counter.seconds / SLICES
    oldest = int(now / slice_seconds) - SLICES
    counter.slices = [(index, calls) for index, calls in counter.slices if index >= oldest]
    remaining = window.calls - sum(calls for _, calls in counter.slices)
    first = counter.slices[0][0] if counter.slices else oldest
    return max(0, remaining), (first + SLICES + 1) * slice_seconds


def _count(allowed: AllowanceState, windows: Sequence[Window], calls: int, now: float) -> None:
    for window in windows if calls else ():
        counter = _counted(allowed, window)
        counter.used += calls
        index = int(now / (counter.seconds / SLICES))
        if counter.slices and counter.slices[-1][0] == index:
            calls_before = counter.slices[-1][1]
            counter.slices[-1] = (index, calls_before + calls)
        else:
            counter.slices.append((index, calls))


def _learn(allowed: AllowanceState, hint: LimitHint) -> None:
    if hint.limit is None or hint.limit <= 0 or hint.window_seconds <= 0:
        return
    for learned in allowed.learned:
        if learned.seconds == hint.window_seconds:
            learned.calls = hint.limit
            return
    allowed.learned.append(LearnedWindow(hint.window_seconds, hint.limit))


def _lower(
    allowed: AllowanceState,
    window: Window,
    hint: LimitHint,
    feedback: LimitFeedback,
    jitter_seconds: float,
) -> None:
    if hint.remaining is None or hint.resets_in_seconds is None:
        return
    ends_at = feedback.received_at + max(0.0, hint.resets_in_seconds)
    if window.seconds > PACED_UP_TO_SECONDS:
        counter = _counted(allowed, window)
        if counter.ends_at == 0:
            counter.used = sum(calls for _, calls in counter.slices)
        elif ends_at > counter.ends_at + counter.seconds / 2:
            counter.used = 0
        counter.ends_at = ends_at
        counter.used = max(counter.used, window.calls - hint.remaining)
        return
    interval = interval_of(window, jitter_seconds)
    handed_out = max(0.0, (allowed.next_at - feedback.sent_at) / interval - 1)
    remaining = hint.remaining - handed_out
    from_at = max(allowed.next_at, feedback.received_at)
    if ends_at <= from_at or (window.kind is not WindowKind.FIXED and hint.remaining > 0):
        return
    if remaining < 1:
        allowed.held_until = max(allowed.held_until, ends_at)
    elif (ends_at - from_at) / remaining > interval:
        allowed.slow_until = ends_at
        allowed.slow_interval = (ends_at - from_at) / remaining
