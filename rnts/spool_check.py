"""What a person is told of the spools on disk, and what repairing them does."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rnts.entries import Entry
from rnts.spool import Spool
from rnts.spool_files import Files
from rnts.spool_folder import life_folders
from rnts.spool_life import Life, read_life
from rnts.spool_parts import SpoolLimits

ASIDE = ".damaged"  # behind the name of a folder that no agent looks into any more


def inspect(folder: Path, reads_payloads: bool) -> Iterator[dict[str, Any]]:
    """Each life's document; with payloads read, `damaged` counts those whose checksum is wrong."""
    for path in life_folders(folder):
        files = Files(path)
        try:
            life = read_life(files)
            document: dict[str, Any] = {"folder": str(path), "problem": ""}
            if life is None:
                document["problem"] = "its state is damaged: nobody knows whose entries these are"
            else:
                document |= _describe(life, files, reads_payloads)
        except OSError as error:
            document = {"folder": str(path), "problem": error.strerror or str(error)}
        finally:
            files.close()
        yield document


def _describe(life: Life, files: Files, reads_payloads: bool) -> dict[str, Any]:
    kept = [entry for entry in life.entries if entry.place is not None]
    document = {
        "agent_id": str(life.state.agent_id),
        "incarnation": life.state.incarnation,
        "committed": life.state.committed,
        "segments": len(life.segments),
        "bytes": sum(segment.size_bytes for segment in life.segments),
        "frames": len(kept),
        "records": sum(entry.records for entry in kept),
        "records_lost": sum(entry.records for entry in life.entries if entry.is_hole),
        "numbers_unknown": life.unknown,
        "torn_bytes": life.torn_bytes,
    }
    if reads_payloads:
        damaged = _damaged(life, files, kept)
        document["damaged"] = len(damaged)
        document["records_damaged"] = sum(entry.records for entry in damaged)
        if damaged:
            document["problem"] = f"{len(damaged)} frames are damaged; their counts are there"
    if life.unknown:
        document["problem"] = f"of {life.unknown} frames nothing is left"
    return document


def _damaged(life: Life, files: Files, entries: list[Entry]) -> list[Entry]:
    spool = Spool(files, SpoolLimits(1, 1), lambda: life.state)
    spool.adopt(life.segments)
    return [entry for entry in entries if spool.read(entry.place) is None]


def repair(folder: Path) -> list[dict[str, Any]]:
    """Put lives aside that no agent can read, remove empty ones; what was done, by folder.

    Nothing that can be delivered is touched: an agent steps over damage by itself.
    """
    done = []
    for path in life_folders(folder):
        files = Files(path)
        try:
            life = read_life(files)
            if life is None:
                aside = path.with_name(path.name + ASIDE)
                os.replace(path, aside)
                done.append({"folder": str(path), "done": f"put aside as {aside.name}"})
            elif not life.entries:
                shutil.rmtree(path)
                done.append({"folder": str(path), "done": "removed: it held nothing"})
        except OSError as error:
            done.append({"folder": str(path), "done": f"left as it is: {error.strerror}"})
        finally:
            files.close()
    return done
