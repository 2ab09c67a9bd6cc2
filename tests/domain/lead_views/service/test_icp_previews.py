"""Previews share the time that there is for them."""

from leadflood.domain.lead_views.service.icp_previews import MAX_AT_ONCE, share_of_time
from leadflood.domain.scoring.service import PREVIEW_SECONDS


def test_many_previews_at_once_take_turns_of_less_time() -> None:
    alone, beside_one = share_of_time(0), share_of_time(1)
    of_fifty = sum(share_of_time(waiting) for waiting in range(50)) / MAX_AT_ONCE

    assert alone == PREVIEW_SECONDS
    assert PREVIEW_SECONDS / 2 < beside_one < PREVIEW_SECONDS
    assert of_fifty < 6 * PREVIEW_SECONDS
