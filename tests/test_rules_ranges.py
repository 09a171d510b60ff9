"""What a condition cannot be is told beforehand: nobody waits for an alert that never comes."""

import json
from pathlib import Path

import pytest
from settings_tools import isolate
from test_rules_command import RUNNER

from rnts.commands.rules import app
from rnts.rules.ranges import doubts_of

SAID = {
    "error_rate > 50": (
        "error_rate > 50 is never true once it is known: error_rate is 0 to 1; per cent are asked "
        "for as error_rate_percent (at 1:1 of the condition)"
    ),
    "errors > 1 and\nmean(cache_hit_rate) >= 90": (
        "mean(cache_hit_rate) >= 90 is never true once it is known: mean(cache_hit_rate) is 0 to "
        "1; per cent are asked for as cache_hit_rate_percent (at 2:1 of the condition)"
    ),
    "error_rate_percent > 100": (
        "error_rate_percent > 100 is never true once it is known: error_rate_percent is 0 to 100 "
        "(at 1:1 of the condition)"
    ),
    "queue_depth >= 0": (
        "queue_depth >= 0 is always true once it is known: queue_depth is 0 or more "
        "(at 1:1 of the condition)"
    ),
    "3 < -queue_depth": (
        "3 < -queue_depth is never true once it is known: -queue_depth is at most 0 "
        "(at 1:1 of the condition)"
    ),
    "neurons == -1": (
        "neurons == -1 is never true once it is known: neurons is 0 or more "
        "(at 1:1 of the condition)"
    ),
}


@pytest.mark.parametrize("text", SAID)
def test_a_comparison_that_the_model_decides_is_told(text: str) -> None:
    """With its place, what its side can be, and how a share is asked for in per cent."""
    assert doubts_of(text, None) == [SAID[text]]
    assert doubts_of("errors > 1", text) == [SAID[text]]  # of a recovery, too


@pytest.mark.parametrize(
    "text",
    ["error_rate >= 1", "error_rate > 0.5 and affected_neurons > 10", "neurons == 0",
     "health_status != 'unknown'", "absent(queue_depth, 5s)", "errors / records > 5",
     "signal_strength < -5", "delta(queue_depth) < -3", "cpu_usage_percent > 150",
     "2 * error_rate > 1.5", "queue_depth - connection_count < 0", "error_rate != 0",
     "0 <= error_rate < 0.1 and p99_processing_time_ms / 2 > 3", "queue_depth < 1e308 * 10 - 1"],
)  # fmt: skip
def test_what_may_be_either_is_not_doubted(text: str) -> None:
    """Also at the ends of a range, in calculations, and of what is anything."""
    assert doubts_of(text) == []


def test_a_check_tells_doubts_and_limits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Such rules are valid; those that an aggregator would refuse together are told as well."""
    isolate(monkeypatch, tmp_path)
    rules = [{"name": "share", "condition": "error_rate > 50", "severity": "warning"}]
    for number in range(1, 50):
        text = f"affected_neurons over {number * 10}ms > 5"
        rules.append({"name": f"r{number}", "condition": text, "severity": "warning"})
    file = tmp_path / "rules.yaml"
    file.write_text(json.dumps({"alerts": rules}))

    said = RUNNER.invoke(app, ["check", str(file)])
    document = json.loads(RUNNER.invoke(app, ["check", str(file), "--json"]).stdout)

    assert said.exit_code == 0
    assert f"beware  {SAID['error_rate > 50']}" in said.stdout
    assert document["rules"][0]["doubts"] == [SAID["error_rate > 50"]]
    (limit,) = document["beyond"]
    assert limit == "49 counts of neurons whose windows or scopes differ are more than 48"
    assert f"rnts: {limit}: the aggregator will refuse some of these rules" in said.stderr
