"""The folder of an agent's spools: one folder in it for each life, named by agent and start."""

import hashlib
import logging
import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from rnts.runtime import runtime_folder, state_folder
from rnts.spool_files import Files, condition_of
from rnts.spool_life import Life, read_life

log = logging.getLogger("rnts.spool")


class Found(NamedTuple):
    """One life's folder and what was read of it."""

    files: Files
    life: Life


def default_folder(chosen: str | None) -> Path:
    """Where the spools of this user's agent lie; agents of other runtime folders have others."""
    place = f"{os.uname().nodename}/{runtime_folder()}".encode()
    name = hashlib.blake2b(place, digest_size=8).hexdigest()
    return Path(chosen or os.path.join(state_folder(), "spool"), name)


def life_name(agent_id: int, incarnation: int) -> str:
    """The name of a life's folder."""
    return f"{incarnation:020d}-{agent_id:016x}"


def life_folders(folder: Path) -> list[Path]:
    """The folders of lives, the oldest first. Raises OSError where that cannot be looked at."""
    try:
        return sorted(path for path in folder.iterdir() if is_life(path))
    except FileNotFoundError:
        return []


def is_life(path: Path) -> bool:
    """Whether a path goes by the name of a life's folder."""
    incarnation, _, agent_id = path.name.partition("-")
    is_name = len(incarnation) == 20 and incarnation.isdecimal() and len(agent_id) == 16
    return is_name and path.is_dir() and not path.is_symlink()


def find_lives(folder: Path, refused: Counter[str]) -> list[Found]:
    """What former lives have left; what cannot be read is counted, and left where it is."""
    found = []
    try:
        folders = life_folders(folder)
    except OSError as error:
        refused[condition_of(error)] += 1
        log.warning("spool %s cannot be read: %s", folder, error.strerror)
        return []
    for path in folders:
        files = Files(path)
        try:
            life = read_life(files)
            if life is not None and not life.segments:
                files.remove_folder()
                continue
        except OSError as error:
            refused[condition_of(error)] += 1
            log.warning("spool %s is left out: %s", path, error.strerror)
            continue
        finally:
            files.close()
        if life is None:
            refused["state"] += 1
            log.warning("spool %s is left out: its state is damaged; `rnts spool check`", path)
        else:
            found.append(Found(files, life))
    return found
