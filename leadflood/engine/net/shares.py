"""Sharing an amount of money among several, to the last micro-unit. Pure."""


def split_evenly(micros: int, count: int) -> tuple[int, ...]:
    """Split an amount into shares that sum to it exactly; the first ones bear the remainder."""
    if count <= 0:
        return ()
    share, rest = divmod(micros, count)
    return (share + 1,) * rest + (share,) * (count - rest)
