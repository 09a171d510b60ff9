"""What `rnts doctor` learns from a running aggregator, or from the ledger that one has left."""

import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rnts.aggregator_process import ledger_path
from rnts.errors import ConfigError, ConnectError, LedgerError, RntsError
from rnts.keeper import LOG
from rnts.ledger import Ledger
from rnts.ledger_conditions import CONDITIONS, condition_of
from rnts.ledger_record import unpack_record
from rnts.links.options import LinkOptions, own_endpoint
from rnts.machine import Finding
from rnts.query import ask
from rnts.settings import load

_TIMEOUT_MS = 500
_OFF = "off: an aggregator that is started again begins anew"


def road(endpoint: str | None = None) -> Iterator[Finding]:
    """How the ledger is, and the clocks of agents if an aggregator is there to tell of them."""
    try:
        settings = load()
        options = LinkOptions.of(settings.telemetry.transport)
        place = endpoint or own_endpoint(settings)
        snapshot = ask(place, {"type": "snapshot"}, _TIMEOUT_MS, options)
    except ConfigError as error:
        yield Finding("settings", "fail", error.problems[0], "mend it; `rnts config check FILE`")
    except ConnectError:
        yield ledger_file(ledger_path(settings))
    except RntsError as error:
        yield Finding("aggregator", "warn", str(error), "`rnts status` asks it for more")
    else:
        yield ledger_at_work(snapshot)
        yield clocks(snapshot)


def ledger_at_work(snapshot: dict[str, Any]) -> Finding:
    """How the ledger of a running aggregator is, in its own words."""
    about = snapshot["aggregator"]["ledger"]
    if about is None:
        return Finding("ledger", "ok", _OFF)
    if condition := about["condition"]:
        found = f"{about['path']} is not written ({condition}); agents keep what they have sent"
        return Finding("ledger", "warn", found, about["advice"])
    if about["set_aside"]:
        found = f"{about['path']} was begun anew, since the one before was damaged"
        return Finding("ledger", "warn", found, f"look at {about['set_aside']}, or remove it")
    return _sound(about["path"], about["records"], about["written_ns"], snapshot["time_ns"])


def clocks(snapshot: dict[str, Any]) -> Finding:
    """Whether the clocks of all agents agree with that of their aggregator."""
    agents = snapshot["agents"]
    for agent in agents:
        if notice := agent["clock_notice"]:
            said, _, fix = notice.rpartition("; ")
            return Finding(
                "clocks", "warn", f"agent {agent['pid']} on {agent['host']}: {said}", fix
            )
    return Finding("clocks", "ok", f"{len(agents)} agents, none of them off by a quarter second")


def ledger_file(path: Path | None) -> Finding:
    """How the ledger is that the next aggregator would go on from."""
    if path is None:
        return Finding("ledger", "ok", _OFF)
    try:
        there = next(place for place in (path, *path.parents) if place.exists())
        if not os.access(there, os.W_OK):
            raise LedgerError("readonly", path, f"{there} cannot be written")
        if there != path:
            return Finding("ledger", "ok", f"{path}, made when it is needed")
        with Ledger(path, is_reader=True) as ledger:
            newest, _ = ledger.head(LOG)
            bodies = [stored.body for stored in ledger.read(LOG, newest)] if newest else []
        made_ns = unpack_record(bodies[-1], with_digests=False).time_ns if bodies else None
    except (LedgerError, sqlite3.Error, OSError) as error:
        return Finding("ledger", "warn", str(error), CONDITIONS[condition_of(error)])
    except ValueError as error:
        return Finding("ledger", "warn", f"{path}: {error}", CONDITIONS["corrupt"])
    return _sound(str(path), newest, made_ns, time.time_ns())


def _sound(path: str, records: int, made_ns: int | None, now_ns: int) -> Finding:
    if made_ns is None:
        return Finding("ledger", "ok", f"{path} has no records yet")
    ago_s = max(0, now_ns - made_ns) / 1e9
    return Finding("ledger", "ok", f"{path}, {records:,} records, the last {ago_s:,.0f} s ago")
