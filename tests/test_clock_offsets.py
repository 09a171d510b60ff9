"""Clocks of agents are judged by the quickest of many messages, and what is off is said."""

from rnts.clock_offsets import OFFSET_NS_MAX, ClockOffsets, clock_notice

SECOND = 1_000_000_000


def test_the_quickest_message_tells_the_offset() -> None:
    """Those that took longer change nothing; after a minute the old ones are forgotten."""
    offsets = ClockOffsets()
    assert offsets.of(1) is None
    for steady_s, taken_ns in enumerate([900, 7, 500]):
        offsets.note(1, 1_000, 1_000 + taken_ns, steady_s * SECOND)
    assert offsets.of(1) == 7
    offsets.note(1, 1_000, 1_300, 40 * SECOND)
    assert offsets.of(1) == 7
    offsets.note(1, 1_000, 1_400, 80 * SECOND)
    assert offsets.of(1) == 300
    offsets.forget(1)
    assert offsets.of(1) is None


def test_messages_that_waited_while_a_process_began_tell_no_offset() -> None:
    """A second late, twice, is no clock; three times it is, and what is early is so at once."""
    offsets = ClockOffsets()
    for seen in (None, None, SECOND):
        offsets.note(1, 0, SECOND, 0)
        assert offsets.of(1) == seen
    offsets.note(2, SECOND, 0, 0)
    assert offsets.of(2) == -SECOND
    offsets.forget(1)
    offsets.note(1, 0, SECOND, 0)
    assert offsets.of(1) is None


def test_what_is_off_by_more_than_a_quarter_of_a_second_is_said() -> None:
    """In words, with the direction; less is nobody's concern."""
    assert clock_notice(None) is None
    assert clock_notice(OFFSET_NS_MAX) is None
    assert "400 ms behind" in str(clock_notice(400_000_000))
    assert "2000 ms ahead of" in str(clock_notice(-2 * SECOND))
