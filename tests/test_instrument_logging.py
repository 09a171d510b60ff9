"""Instrumented logging: errors that are logged are events, and logging goes on as ever."""

import logging
from pathlib import Path
from typing import Any

import pytest
from capture_tools import run_python
from trace_tools import Watched

import rnts

log = logging.getLogger("app.part")


def test_errors_are_told_and_counted(process: Watched) -> None:
    """Type is the exception's class or the logger, details are the message; less is not told."""
    with rnts.instrument("logging"):
        log.error("no %s", "answer")
        log.warning("slow")
        try:
            raise KeyError("k")
        except KeyError:
            log.exception("lost")
        log.critical("x" * 10_000)
    log.error("after")
    assert process.of("logging") == [
        {"activation_count": 1},
        ("ErrorOccurred", ["app.part", "no answer"]),
        {"activation_count": 2},
        ("ErrorOccurred", ["KeyError", "lost"]),
        {"activation_count": 3},
        ("ErrorOccurred", ["app.part", "x" * 255]),
    ]


@pytest.mark.parametrize("level", ["WARNING", "warning", logging.WARNING])
def test_the_level_may_be_another(process: Watched, level: int | str) -> None:
    """By name or by number."""
    with rnts.instrument("logging", log_level=level):
        log.warning("slow")
        log.info("fine")
    assert process.of("logging")[1:] == [("ErrorOccurred", ["app.part", "slow"])]


def test_what_rnts_logs_is_left_out(process: Watched) -> None:
    """Reporting it might make it log again; a logger that is only named alike is not ours."""
    with rnts.instrument("logging"):
        logging.getLogger("rnts").error("ours")
        logging.getLogger("rnts.agent").error("ours")
        logging.getLogger("rntsx").error("theirs")
    assert process.of("logging")[1:] == [("ErrorOccurred", ["rntsx", "theirs"])]


def test_loggers_that_do_not_propagate_are_heard(process: Watched) -> None:
    """Which handlers an application has is its own business."""
    quiet = logging.getLogger("quiet")
    quiet.propagate = False
    quiet.addHandler(logging.NullHandler())
    with rnts.instrument("logging"):
        quiet.error("e")
    assert len(process.of("logging")) == 2


def test_arguments_that_log_do_not_go_on_for_ever(
    process: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record that is logged while another is made text of is told without its arguments."""

    class Loud:
        def __str__(self) -> str:
            log.error("noise %s", self)
            return "loud"

    monkeypatch.setattr(logging.Logger, "callHandlers", lambda logger, record: None)
    with rnts.instrument("logging"):
        log.error("begin %s", Loud())
    events = [told[1][1] for told in process.of("logging") if isinstance(told, tuple)]
    assert events == ["noise %s", "begin loud"]


class Broken:
    """Cannot be made text of."""

    def __str__(self) -> str:
        raise RuntimeError("broken")


@pytest.mark.parametrize(
    ("arguments", "details"),
    [
        (("%d items", "no"), "%d items (%d format: a real number is required, not str)"),
        (("%s", Broken()), "%s (broken)"),
        ((Broken(),), "Broken (broken)"),
        (("%s and %s", 1), "%s and %s (not enough arguments for format string)"),
    ],
)
def test_a_wrong_call_is_told_and_raises_nothing(
    process: Watched,
    arguments: tuple[Any, ...],
    details: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A message that does not go with its arguments is told as it is, with what is wrong."""
    monkeypatch.setattr(logging.Logger, "callHandlers", lambda logger, record: None)
    with rnts.instrument("logging"):
        log.error(*arguments)
    assert process.of("logging")[1:] == [("ErrorOccurred", ["app.part", details])]


def test_a_record_made_by_hand_may_lack_anything(process: Watched) -> None:
    """What cannot be read is told as such, and gets on as far as it would have."""
    with rnts.instrument("logging"), pytest.raises(TypeError):
        log.handle(
            logging.makeLogRecord({"levelno": None})
        )  # what pytest's own handler makes of it
    (_, event) = process.of("logging")
    assert event[1][0] == "LogRecord"
    assert event[1][1].startswith("it cannot be read: ")


def test_logging_is_not_changed(runtime_folder: Path) -> None:
    """Without handlers errors still reach stderr, and `basicConfig` still has its effect."""
    run = run_python("""
        import logging, rnts
        rnts.instrument("logging")
        logging.getLogger("a").error("first")
        logging.basicConfig(format="said: %(message)s")
        logging.getLogger("a").error("second")
    """)
    assert run.stderr == "first\nsaid: second\n"
