"""The clock that runs only while somebody is at work."""

from rnts.attention import LOOK_NS_MAX, Attention


def test_only_time_at_work_counts() -> None:
    """Looks that follow each other add up to the true time; a long absence counts as one look."""
    steady_ns = 7
    attention = Attention(lambda: steady_ns)
    assert attention.look() == 0
    for _ in range(30):
        steady_ns += LOOK_NS_MAX // 3
        attention.look()
    assert attention.look() == 30 * (LOOK_NS_MAX // 3)
    before = attention.look()
    steady_ns += 3600 * 10**9
    assert attention.look() == before + LOOK_NS_MAX
    assert attention.look() == before + LOOK_NS_MAX
