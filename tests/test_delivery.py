"""The delivery protocol: exactly once and in order, whatever the network and the peers do."""

import itertools

import pytest

from rnts.delivery import CREDIT_ENTRIES, MESSAGE_BYTES, Message, Type, parse_message
from rnts.receiver import Receiver, Verdict
from rnts.sender import Limits, Sender

LIMITS = Limits(retained_bytes_max=1 << 20, timeout_ns=100, retry_count=3)
AGENT, SOURCE = 7, 42


def make_sender(limits: Limits = LIMITS, incarnation: int = 1) -> Sender:
    """A sender whose holes are readable: the payload says how many records were lost."""
    return Sender(
        AGENT,
        incarnation,
        limits,
        make_hello=lambda: b"hello",
        make_hole=lambda counts: b"lost %d" % counts.get(SOURCE, 0),
    )


def deliver(
    sender: Sender, receiver: Receiver, now: int = 0, primed: list[bytes] | None = None
) -> list[bytes]:
    """Let both talk over a perfect network until they are done; payloads in order of folding."""
    folded = []
    while messages := sender.step(now):
        for header, payload in messages:
            message = parse_message(header)
            assert message is not None
            if message.type is Type.HELLO:
                _, answer = receiver.on_hello(message, None, now)
            else:
                verdict, answer = receiver.on_entry(message, None, now)
                if verdict is Verdict.FOLD:
                    folded.append(payload)
                    receiver.folded(message, window=-1)
                    answer = receiver.acknowledge(AGENT)
                elif verdict is Verdict.PRIME and primed is not None:
                    primed.append(payload)
                    receiver.primed(message)
                    answer = receiver.acknowledge(AGENT)
            if answer is not None:
                sender.on_message(answer, now)
    return folded


def test_entries_arrive_in_order_and_once() -> None:
    """What is offered is folded in the order of offering, far beyond one grant of credit."""
    sender, receiver = make_sender(), Receiver(1)
    sent = [b"%d" % i for i in range(5 * CREDIT_ENTRIES)]
    for payload in sent:
        sender.offer(payload, {SOURCE: 1})

    assert deliver(sender, receiver) == sent
    assert sender.is_drained
    assert sender.backlog() == (0, 0)


def test_without_credit_nothing_goes_out() -> None:
    """A receiver that acknowledges nothing gets at most what its credit allows."""
    sender, receiver = make_sender(), Receiver(1)
    for i in range(3 * CREDIT_ENTRIES):
        sender.offer(b"%d" % i, {})
    hello = parse_message(sender.step(0)[0][0])
    assert hello is not None
    _, welcome = receiver.on_hello(hello, None, 0)
    assert welcome is not None
    sender.on_message(welcome, 0)

    assert len(sender.step(0)) == CREDIT_ENTRIES
    assert sender.step(0) == []


def test_committed_entries_are_forgotten_and_others_kept() -> None:
    """Only a commit frees memory; a new receiver is told all that is not committed."""
    sender, receiver = make_sender(), Receiver(1)
    for i in range(10):
        sender.offer(b"%d" % i, {SOURCE: i})
    deliver(sender, receiver)
    sender.on_message(Message(Type.COMMITTED, 1, 1, 5), 0)

    assert list(sender.retained.committed_counts) == [{SOURCE: i} for i in range(4)]
    sender.lose_connection()
    assert deliver(sender, Receiver(2)) == [b"%d" % i for i in range(4, 10)]


def test_memory_is_bounded_and_the_hole_is_declared() -> None:
    """Beyond the limit the oldest unsent frames become one hole that says what it held."""
    sender = make_sender(Limits(retained_bytes_max=1000, timeout_ns=100, retry_count=3))
    for i in range(100):
        sender.offer(b"%03d" % i * 10, {SOURCE: 2})

    assert sender.retained_bytes <= 1000
    folded = deliver(sender, Receiver(1))
    kept = len(folded) - 1
    assert folded[0] == b"lost %d" % (2 * (100 - kept))
    assert folded[1:] == [b"%03d" % i * 10 for i in range(100 - kept, 100)]


def test_what_went_out_is_never_called_lost() -> None:
    """A frame that the receiver may hold stays, however little memory there is."""
    sender, receiver = make_sender(Limits(200, 100, 3)), Receiver(1)
    deliver(sender, receiver)
    sender.offer(b"x" * 150, {SOURCE: 1})
    went_out = sender.step(0)
    for _ in range(10):
        sender.offer(b"y" * 150, {SOURCE: 1})

    assert went_out[0][1] == b"x" * 150
    sender.lose_connection()
    folded = deliver(sender, receiver)
    assert folded == [b"x" * 150, b"lost 9", b"y" * 150]


def test_a_silent_endpoint_becomes_suspect() -> None:
    """After the retries the driver is told to go elsewhere; nothing is forgotten."""
    sender = make_sender()
    sender.offer(b"1", {SOURCE: 1})
    hellos = sum(bool(sender.step(now)) for now in range(0, 1000, 50))

    assert sender.is_suspect
    assert hellos >= LIMITS.retry_count
    sender.lose_connection()
    assert deliver(sender, Receiver(1), now=1000) == [b"1"]


def test_an_agents_former_life_is_refused() -> None:
    """Entries of an earlier incarnation that arrive late are not folded."""
    receiver = Receiver(1)
    deliver(make_sender(incarnation=1), receiver)
    deliver(make_sender(incarnation=2), receiver)
    verdict, answer = receiver.on_entry(Message(Type.ENTRY, AGENT, 1, 1, 1), None, 0)

    assert (verdict, answer) == (Verdict.STRANGER, None)


@pytest.mark.parametrize("raw", [b"", b"\x00" * MESSAGE_BYTES, b"\xff" * MESSAGE_BYTES, b"x" * 99])
def test_garbage_is_no_message(raw: bytes) -> None:
    """Bytes of a wrong length or type are None, never an exception."""
    assert parse_message(raw) is None


def test_commits_keep_the_group_that_later_frames_build_on() -> None:
    """A new receiver primes with what is committed, and folds only what is not."""
    sender, receiver = make_sender(), Receiver(1)
    for number in range(1, 8):
        sender.offer(b"%d" % number, {SOURCE: 1}, is_keyframe=number in (1, 4))
    deliver(sender, receiver)
    sender.on_message(Message(Type.COMMITTED, 1, 1, 6), 0)
    assert (sender.retained.first, sender.committed) == (4, 6)

    sender.lose_connection()
    successor, primed = Receiver(2), []
    folded = deliver(sender, successor, primed=primed)
    assert (primed, folded) == ([b"4", b"5"], [b"6", b"7"])


def test_a_hole_ends_with_its_group() -> None:
    """What builds on a frame that was given up is given up with it; then a keyframe has to come."""
    sender = make_sender(Limits(100, 100, 3))
    began = []
    for number in range(1, 6):
        if sender.retained.wants_keyframe:
            began.append(number)
        sender.offer(b"%d" % number * 30, {SOURCE: 1}, sender.retained.wants_keyframe)
    assert began == [1, 5]
    assert deliver(sender, Receiver(1)) == [b"lost 4", b"5" * 30]


def test_a_keyframe_is_asked_for_once_and_only_of_the_open_group() -> None:
    """KEYFRAME makes the next frame one, unless one was made since."""
    sender, receiver = make_sender(), Receiver(1)
    sender.offer(b"1", {}, is_keyframe=True)
    deliver(sender, receiver)
    entry = Message(Type.ENTRY, AGENT, 1, 2, 2)
    asking = receiver.ask_keyframe(entry)
    assert asking is not None
    assert receiver.ask_keyframe(entry._replace(first=3, last=3)) is None
    sender.on_message(asking, 0)
    assert sender.retained.wants_keyframe

    sender.offer(b"2", {}, is_keyframe=True)
    sender.offer(b"3", {}, is_keyframe=False)
    sender.on_message(asking._replace(first=1), 0)
    assert not sender.retained.wants_keyframe


def test_who_was_away_is_remembered() -> None:
    """A session that was dropped goes on where it was: what is counted is not counted again."""
    sender, receiver = make_sender(), Receiver(1)
    sender.offer(b"1", {SOURCE: 1})
    deliver(sender, receiver)
    receiver.forget(AGENT)
    sender.offer(b"2", {SOURCE: 1})
    sender.lose_connection()
    primed: list[bytes] = []
    assert deliver(sender, receiver, primed=primed) == [b"2"]
    assert primed == [b"1"]


def test_a_former_life_is_told_that_it_is_over() -> None:
    """It learns what of it is folded and committed; the living one's session is not touched."""
    receiver, former = Receiver(1), make_sender(incarnation=1)
    former.offer(b"1", {SOURCE: 1})
    deliver(former, receiver)
    living = make_sender(incarnation=2)
    deliver(living, receiver)

    former.lose_connection()
    deliver(former, receiver)
    assert former.is_drained
    assert former.committed == 1
    receiver.commit(AGENT, 99)
    receiver.written(AGENT)
    former.lose_connection()
    deliver(former, receiver)
    assert former.committed == former.next_number
    assert receiver.sessions[AGENT].incarnation == 2


def test_patience_grows_unevenly_and_ends() -> None:
    """Endpoints that do not answer are tried less often, by jitter, but at least every 8 times."""
    sender = Sender(AGENT, 1, LIMITS, lambda: b"", lambda _: b"", jitter=lambda: 0.5)
    hellos, silences = [], []
    for now in range(0, 20_000, 10):
        if sender.step(now):
            hellos.append(now)
        if sender.is_suspect:
            sender.lose_connection()
    silences = [after - before for before, after in itertools.pairwise(hellos)]
    assert silences[: LIMITS.retry_count] == [LIMITS.timeout_ns] * LIMITS.retry_count
    assert max(silences) <= 8 * LIMITS.timeout_ns
    assert silences[-2] == 0.75 * 8 * LIMITS.timeout_ns


def test_a_former_life_hears_of_commits_when_they_are_written() -> None:
    """What is committed but not yet in the ledger may still be lost with the aggregator."""
    receiver = Receiver(1)
    receiver.on_hello(Message(Type.HELLO, AGENT, 1, 1), None, 0)
    for number in (1, 2):
        receiver.folded(Message(Type.ENTRY, AGENT, 1, number, number), window=number)
    receiver.on_hello(Message(Type.HELLO, AGENT, 2, 1), None, 0)
    asking = Message(Type.HELLO, AGENT, 1, 1)
    told = []
    for closed_before in (2, 3):
        receiver.commit(AGENT, closed_before)
        told.append(receiver.on_hello(asking, None, 0)[1])
        receiver.written(AGENT)
        told.append(receiver.on_hello(asking, None, 0)[1])
    assert [(answer.first, answer.committed) for answer in told] == [(3, 1), (3, 2), (3, 2), (0, 0)]


def test_a_life_whose_commits_are_not_written_stays_known() -> None:
    """Also where all of it lay in closed windows when the next life was heard."""
    receiver = Receiver(1)
    receiver.on_hello(Message(Type.HELLO, AGENT, 1, 1), None, 0)
    receiver.folded(Message(Type.ENTRY, AGENT, 1, 1, 1), window=1)
    receiver.commit(AGENT, 2)
    receiver.on_hello(Message(Type.HELLO, AGENT, 2, 1), None, 0)
    answer = receiver.on_hello(Message(Type.HELLO, AGENT, 1, 1), None, 0)[1]
    assert (answer.type, answer.first, answer.committed) == (Type.OVER, 2, 1)


def test_what_was_let_go_since_hello_is_said_anew() -> None:
    """A WELCOME that asks for what is kept no more is answered with another HELLO."""
    sender = make_sender()
    sender.offer(b"first", {SOURCE: 1})
    sender.offer(b"second", {SOURCE: 1})
    sender.step(0)
    sender.retained.receive(2)
    sender.retained.commit(2)
    sender.on_message(Message(Type.WELCOME, 1, 1, 1, 0), 0)
    assert not sender.is_ready
    hello = parse_message(sender.step(0)[0][0])
    assert hello is not None
    assert (hello.type, hello.first) == (Type.HELLO, 2)
