"""Where a service has its program and its files: those of the user who installs it."""

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rnts.aggregator_process import ledger_path
from rnts.runtime import SHARED_MEMORY, runtime_folder, state_folder
from rnts.settings import Settings
from rnts.warmup import wanted_cache_folder

IPC = "ipc://"


@dataclass(frozen=True)
class Places:
    """Absolute paths; what a unit says follows from them and the settings alone."""

    is_system: bool
    python: str
    runtime: str
    is_runtime_chosen: bool  # by RNTS_RUNTIME_DIR, so that programs have to be told of it
    state: str
    cache: str
    config: str | None = None  # the one file of settings; None: the usual places
    config_home: str | None = None  # XDG_CONFIG_HOME
    # What settings name: folders that are written to, and those in which sockets lie.
    more: tuple[str, ...] = ()

    @property
    def writable(self) -> tuple[str, ...]:
        """Folders that services write to, outer ones first and each once."""
        wanted = sorted({self.runtime, self.state, self.cache, *self.more})
        return tuple(
            path for path in wanted if not any(is_below(path, o) for o in wanted if o != path)
        )

    @property
    def all(self) -> tuple[str, ...]:
        """Every path that has to be seen."""
        given = (path for path in (self.config, self.config_home) if path)
        return (self.python, *given, *self.writable)

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which services find what commands of this user find, too."""
        found = {"RNTS_STATE_DIR": self.state, "RNTS_CACHE_DIR": self.cache}
        if self.is_runtime_chosen or not self.is_system:
            found = {"RNTS_RUNTIME_DIR": self.runtime, **found}
        return found | ({"XDG_CONFIG_HOME": self.config_home} if self.config_home else {})

    @property
    def is_runtime_kept(self) -> bool:
        """Whether the runtime folder is made by whoever comes first, as in shared memory."""
        return is_below(self.runtime, SHARED_MEMORY)


def is_below(path: str, folder: str) -> bool:
    """Whether a path is a folder, or lies in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def places_here(is_system: bool, settings: Settings, config: Path | None) -> Places:
    """The places of this process and of the user who runs it."""
    home = os.environ.get("XDG_CONFIG_HOME", "")
    return Places(
        is_system=is_system,
        python=os.path.abspath(sys.executable),
        runtime=os.path.abspath(runtime_folder()),
        is_runtime_chosen="RNTS_RUNTIME_DIR" in os.environ,
        state=os.path.abspath(state_folder()),
        cache=str(wanted_cache_folder()),
        config=os.path.abspath(config) if config else None,
        config_home=home if os.path.isabs(home) else None,
        more=tuple(sorted(set(_named(settings)))),
    )


def _named(settings: Settings) -> Iterator[str]:
    """Folders that settings name."""
    chosen = settings.agent.spool.folder, settings.agent.segments_dir, settings.alerting.folder
    yield from (os.path.abspath(folder) for folder in chosen if folder)
    if (ledger := ledger_path(settings)) is not None:
        yield os.path.abspath(ledger.parent)
    transport = settings.telemetry.transport
    for address in (settings.aggregator.address, *transport.addresses):
        if address and address.startswith(IPC):
            yield os.path.abspath(os.path.dirname(address.removeprefix(IPC)))


def left_variables(environ: Mapping[str, str]) -> list[str]:
    """Settings in the environment, which a service does not inherit."""
    return sorted(name for name in environ if name.startswith("RNTS_") and "__" in name)


def closed_folder(path: str) -> Path | None:
    """The folder on the way to `path` that root without its powers cannot enter, if any."""
    for start in (Path(path), Path(path).resolve()):
        for folder in start.parents:
            info = folder.stat()
            if info.st_uid != 0 and not info.st_mode & 0o001:
                return folder
    return None
