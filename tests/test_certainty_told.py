"""How certain values are, as it is told: on the wire, by `rnts watch`, in notifications."""

import io
import json
import math
import random
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from alert_fed import Fed
from alert_tools import EPOCH, RULE
from reflex_tools import Town
from rich.console import Console
from test_alert_storm import MANY, STORMY, Pair, changes_of
from test_watch_command import LATENCY

from rnts.alerts.actions_local import describe_in_full
from rnts.alerts.feed import CONDITION, query_key
from rnts.alerts.life import Life
from rnts.alerts.life_documents import document_of, documents_of, read_documents, read_life
from rnts.alerts.rule import Rule, read_rule
from rnts.commands._watch_lines import JsonLines, PlainLines
from rnts.commands._watch_table import Table
from rnts.commands._watched import understand
from rnts.delivery import parse_message
from rnts.links.limits import MESSAGE_BYTES_MAX
from rnts.reflex.change import Certainty, Change, Changes, Labels, Update, Worst, join_changes
from rnts.reflex.packed import pack_changes, unpack_changes
from rnts.reflex.told_certainty import seen_document
from rnts.rules.bounds import threshold_of
from rnts.rules.condition import parse_condition
from rnts.standing.client import WatchClient
from rnts.standing.outbox import Outbox
from rnts.standing.push import Part, pack_push, unpack_push
from rnts.standing.query import Query
from rnts.standing.standing import Standing
from rnts.standing.view import View

BUCKET = Certainty(99.5, 100.5)
SAMPLED = Certainty(99.5, 100.5, 41.25, 97.0, 104.0)
UNCLAIMED = Certainty(99.5, 100.5, 3.5)
COUNTED = Certainty(None, None, 41.25, 97.0, 104.0)
ALL = (BUCKET, None, SAMPLED, UNCLAIMED, COUNTED)
A: Labels = (("group", "a"),)


def changes(*certainties: Certainty | None) -> Changes:
    """Groups with these."""
    count = len(certainties)
    names = [f"g{place}" for place in range(count)]
    return Changes(("group",), [names], [1.0] * count, [100.0] * count, {}, certainties)


def test_certainties_are_cut_picked_and_joined_with_their_changes() -> None:
    """Each stays with its entity; where one part has none, its entities have none."""
    whole = changes(*ALL)
    assert [each.certainty for each in whole] == list(ALL)
    assert [whole[place].certainty for place in range(5)] == list(ALL)
    assert [each.certainty for each in whole[1:3]] == list(ALL[1:3])
    assert [each.certainty for each in whole.pick([4, 0])] == [COUNTED, BUCKET]
    plain = Changes(("group",), [["h"]], [1.0], [2.0], {})
    joined = join_changes([plain, whole])
    assert [each.certainty for each in joined] == [None, *ALL]
    assert isinstance(join_changes([plain, plain]), Changes)
    assert not join_changes([plain, plain])[0].certainty
    with pytest.raises(ValueError, match="each change has a certainty"):
        Changes(("group",), [["g", "h"]], [1.0] * 2, [2.0] * 2, {}, [BUCKET])


def test_certainties_travel_and_others_need_not_know_of_them() -> None:
    """They come back as they were; a message without them is read, and so is one of more parts."""
    single = tuple(Change(A, math.nan, 100.0, (), each) for each in ALL)
    for told in (changes(*ALL), single):
        part = Part(Update("k", 5, False, told, ()), 0, False)
        packed = pack_push([part], {})
        (back,) = unpack_push(packed).parts
        assert [each.certainty for each in back.update.changes] == list(ALL)
    document = json.loads(json.dumps(pack_changes(changes(BUCKET, SAMPLED, BUCKET))))
    assert document["certain"] == [[list(BUCKET), list(SAMPLED)], [0, 1, 0]]
    document["certain"][0] = [[*BUCKET, "of a later version"], [99.5, 100.5]]
    assert [each.certainty for each in unpack_changes(document)] == [BUCKET] * 3
    del document["certain"]
    assert [each.certainty for each in unpack_changes(document)] == [None] * 3
    assert "certain" not in pack_changes(Changes(("group",), [["g"]], [1.0], [2.0], {}))


@pytest.mark.parametrize(
    "certain", [[[], [0]], [[[1, 2]], [1]], [[["x"]], [0]], [7, [0]], [[[1, 2]], []], 5]
)
def test_what_is_no_certainty_makes_a_message_none(certain: Any) -> None:
    """Whatever stands there instead, it is refused as a message, or read as nothing."""
    document = pack_changes(changes(BUCKET))
    payload = json.loads(pack_push([Part(Update("k", 5, False, (), ()), 0, False)], {}))
    payload["updates"][0]["changes"] = [document | {"certain": certain}]
    if certain == [[[1, 2]], []]:
        (part,) = unpack_push(json.dumps(payload).encode()).parts
        assert [each.certainty for each in part.update.changes] == [None]
        return
    with pytest.raises(ValueError, match=r"message of standing queries|to float"):
        unpack_push(json.dumps(payload).encode())


def test_the_largest_message_has_room_for_them() -> None:
    """Names of 255 bytes that are escaped, worst neurons, and numbers of all their digits."""
    source, name = random.Random(1), "\x01" * 255
    worst = tuple(Worst(name, source.random(), source.random()) for _ in range(3))
    box, told = Outbox(Counter()), []
    for place in range(2_000):
        certain = Certainty(*(source.random() for _ in range(5)))
        labels = (("group", f"{name[:-4]}{place:04}"),)
        told.append(Change(labels, 1.0, source.random(), worst, certain))
    box.add("k" * 255, Update("k" * 255, 1 << 62, False, tuple(told), ()))
    while box.is_waiting:
        assert len(box.next_payload(lambda key: Update(key, 0, True, (), ()))) < MESSAGE_BYTES_MAX


def shown(certain: Certainty | None, as_json: bool, capsys: Any) -> Any:
    """What is printed of one group."""
    watched = understand([LATENCY])["0"]
    update = Update(
        "0", 1_790_000_000 * 10**9, False, (Change(A, math.nan, 100.0, (), certain),), ()
    )
    show = JsonLines() if as_json else PlainLines(False)
    show.news(watched, watched.view.apply(update))
    line = capsys.readouterr().out
    return json.loads(line) if as_json else line.split("  ", 1)[1].rstrip("\n")


@pytest.mark.parametrize(
    ("certain", "words", "said"),
    [
        (None, "", {}),
        (BUCKET, "  bucket 99.5 to 100.5", {"bucket_bound": [99.5, 100.5]}),
        (
            SAMPLED,
            "  bucket 99.5 to 100.5, sampling 97 to 104 (41.25 effective samples)",
            {
                "bucket_bound": [99.5, 100.5],
                "sampling": {"effective_samples": 41.25, "interval": [97.0, 104.0]},
            },
        ),
        (
            UNCLAIMED,
            "  bucket 99.5 to 100.5, sampling unknown (3.5 effective samples)",
            {
                "bucket_bound": [99.5, 100.5],
                "sampling": {"effective_samples": 3.5, "interval": None},
            },
        ),
        (
            COUNTED,
            "  sampling 97 to 104 (41.25 effective samples)",
            {"sampling": {"effective_samples": 41.25, "interval": [97.0, 104.0]}},
        ),
    ],
)
def test_watch_tells_it_beside_the_value(
    certain: Certainty | None, words: str, said: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """In words for people, as keys of the object for programs; nothing where nothing is known."""
    assert shown(certain, False, capsys) == f"group=a  100 ms{words}"
    found = shown(certain, True, capsys)
    assert {key: found[key] for key in ("bucket_bound", "sampling") if key in found} == said


def test_the_table_has_a_column_for_it_while_it_is_told() -> None:
    """It goes first where a line is too narrow."""
    watched = understand([LATENCY])
    one = watched["0"]
    one.view.apply(Update("0", 1, True, (Change(A, math.nan, 100.0, (), SAMPLED),), ()))
    table = Table(Console(file=io.StringIO()), [one])
    wide, narrow = (" ".join(line.plain for line in table.lines(width, 9)) for width in (140, 40))
    assert "certain" in wide and "sampling 97 to 104" in wide
    assert "certain" not in narrow and "100 ms" in narrow


SLOW = replace(RULE, name="slow", bound="> 100", threshold=100.0)
FIRED = Change(A, 1.0, 100.3, (), SAMPLED)


def fed_with(folder: Path, rule: Rule, *told: Change) -> Fed:
    """Alerts of a rule that were told so."""
    fed = Fed(folder, rule)
    at_ns = EPOCH + fed.bench.now_ns
    fed.take(Update(query_key(CONDITION, rule.name), at_ns, False, told, ()))
    fed.step()
    return fed


def test_a_notification_tells_how_certain_its_value_is(tmp_path: Path) -> None:
    """As a document and in the text, and that the threshold is as near as that."""
    fed = fed_with(tmp_path, SLOW, FIRED)
    (told,) = fed.bench.delivered.got
    fed.bench.memory.close()
    (alert,) = told.alerts
    assert alert["bound"] == "> 100" and alert["bucket_bound"] == [99.5, 100.5]
    assert alert["sampling"] == {"effective_samples": 41.25, "interval": [97.0, 104.0]}
    both = "the bucket's bound and the sampling interval"
    assert alert["threshold_within"] == both
    words = "bucket 99.5 to 100.5, sampling 97 to 104 (41.25 effective samples)"
    said = f"certain: group=a 100.3 > 100 ({words}, the threshold lies within {both})"
    assert said in describe_in_full(told)
    json.dumps(told.document())


@pytest.mark.parametrize(
    ("certain", "threshold", "within"),
    [
        (BUCKET, 100.0, "the bucket's bound"),
        (BUCKET, 99.5, "the bucket's bound"),
        (BUCKET, 99.0, None),
        (BUCKET, None, None),
        (SAMPLED, 103.0, "the sampling interval"),
        (SAMPLED, 105.0, None),
        (UNCLAIMED, 104.0, None),
        (COUNTED, 100.0, "the sampling interval"),
        (None, 100.0, None),
    ],
)
def test_within_what_a_threshold_lies(
    certain: Certainty | None, threshold: float | None, within: str | None
) -> None:
    """Where it lies within neither, or nothing is known, nothing is said."""
    assert seen_document(certain, threshold).get("threshold_within") == within


@pytest.mark.parametrize(
    ("condition", "threshold"),
    [
        ("p99_processing_time_ms > 100", 100.0),
        ("50 * 2 < p99_processing_time_ms and errors > 3", 100.0),
        ("not (p99_processing_time_ms < 1e-1)", 0.1),
        ("p99_processing_time_ms > p50_processing_time_ms", None),
        ("health_status == 'critical'", None),
        ("absent(queue_depth, 1s)", None),
        ("p99_processing_time_ms > 1e200 * 1e200", None),
    ],
)
def test_a_threshold_is_a_number_in_the_unit_that_is_shown(
    condition: str, threshold: float | None
) -> None:
    """What is no number, or a state, is none."""
    assert threshold_of(parse_condition(condition)) == threshold


def test_a_threshold_changes_no_meaning_of_a_rule() -> None:
    """Alerts of before go on: a rule is the same with it, and one without it is read."""
    assert SLOW.digest == replace(SLOW, threshold=None).digest
    document = json.loads(json.dumps(asdict(SLOW)))
    assert read_rule(document) == SLOW
    del document["threshold"]
    assert read_rule(document) == replace(SLOW, threshold=None)


def test_a_restart_remembers_it_and_reads_what_was_written_without(tmp_path: Path) -> None:
    """What is told again after a restart has the same certainty; older documents have none."""
    fed = fed_with(tmp_path, SLOW, FIRED)
    fed.restart()
    (life,) = fed.bench.table.lives.by_key.values()
    fed.bench.memory.close()
    assert life.certainty == SAMPLED
    document = json.loads(json.dumps(document_of(life)))
    del document["certainty"]
    assert read_life(document, 0) == replace(life, certainty=None, event_ns=None)


def test_many_alike_are_one_document_with_and_without_it() -> None:
    """Each life has its own again; those that an older version wrote have none."""
    lives = [
        Life("slow", SLOW.digest, (("neuron", f"n{place}"),), "firing", 5, certainty=ALL[place % 5])
        for place in range(20)
    ]
    (written,) = (json.loads(json.dumps(each)) for each in documents_of(lives).values())
    read = [read_life(each, 0) for each in read_documents({"alike/0": written}, Counter()).values()]
    assert {life.labels: life.certainty for life in read} == {
        life.labels: life.certainty for life in lives
    }
    del written["those"]["certain"]
    read = [read_life(each, 0) for each in read_documents({"alike/0": written}, Counter()).values()]
    assert [life.certainty for life in read] == [None] * 20


def test_a_storm_tells_and_remembers_what_single_alerts_would(tmp_path: Path) -> None:
    """Also how certain each value is; again after all were over."""
    pair = Pair(tmp_path, rules=(replace(STORMY, threshold=50.0),))
    for truth in (1.0, 0.0, 1.0):
        entities = list(range(MANY))
        plain = changes_of(entities, truth, [float(one) for one in entities])
        certain = [Certainty(one - 1.0, one + 1.0) for one in entities]
        told = Changes(plain.names, plain.columns, plain.truths, plain.values, {}, certain)
        pair.step(told)
    assert pair.storms >= 1
    first = pair.whole.delivered.got[0].alerts[0]
    assert first["bucket_bound"] == [first["value"] - 1, first["value"] + 1]
    for bench in pair.both:
        bench.memory.close()


def test_what_the_engine_finds_a_client_knows() -> None:
    """The whole way: an expression, its evaluation, a push, what the client holds of it."""
    town, sent = Town(), list[list[bytes]]()
    standing = Standing(7, town.engine, lambda peer, parts: sent.append(parts))
    text = "p50(queue_depth) by group"
    client = WatchClient({"k": Query(text, is_condition=False)}, 0, 1)
    for header, payload in client.outgoing(0):
        message = parse_message(header)
        assert message is not None
        standing.on_message("peer", message, payload, 1)
    standing.step(town.now_ns, town.steady_ns)
    town.step(1, *[town.sample(1, queue_depth=one, weight=2.0) for one in range(1, 101)])
    standing.step(town.now_ns, town.steady_ns)
    view = View(is_condition=False)
    for parts in sent:
        for update in client.on_message(parts, 2):
            view.apply(update)
    ((found,), (expected,)) = view.entities.values(), town.engine.full((1, "k"), 0).changes
    assert found[2:] == expected[2:] and found.certainty is not None
    low, high = found.certainty[3:]
    assert low is not None and high is not None and low < 50 < high
