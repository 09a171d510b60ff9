"""The units that run RNTS under systemd: what they say follows from settings and places alone."""

from collections.abc import Iterator, Mapping, Sequence

from rnts.errors import UsageError
from rnts.nearest import suggest
from rnts.settings import Settings
from rnts.unit_limits import limits
from rnts.unit_places import Places
from rnts.unit_text import Sections, Setting, command_line, quoted, unit_text

TARGET = "rnts.target"
WATCHDOG_S, START_S, STOP_S, RESTART_S = 30, 300, 15, 2

# What a role is for; together they do what `up` does alone.
ROLES = {
    "aggregate": "Fold what agents deliver, and answer who asks",
    "agent": "Collect what the programs of this machine record",
    "alert": "Run alert rules, and act when they hold",
    "up": "Run agent, aggregator and alerts, and start again what dies",
}


def unit_name(role: str) -> str:
    """The file of a role."""
    return f"rnts-{role}.service"


def chosen_roles(asked: Sequence[str], settings: Settings) -> list[str]:
    """The roles that are to run; without a word the three of them, alerts where there are rules."""
    for role in asked:
        if role not in ROLES:
            known = f"{', '.join(ROLES)}{suggest(role, ROLES)}"
            raise UsageError(f"{role!r} is no role of a service; there are {known}")
    roles = [role for role in ROLES if role in asked]
    if "up" in roles and len(roles) > 1:
        raise UsageError("up runs the other roles itself; give it alone")
    if "alert" in roles and not settings.alerts:
        raise UsageError("there are no rules to run: write a section alerts, or leave alert out")
    if not roles:
        roles = [role for role in ROLES if role != "up" and (role != "alert" or settings.alerts)]
    return roles


def plan(
    roles: Sequence[str], settings: Settings, places: Places, cores: Mapping[str, str]
) -> dict[str, str]:
    """The text of each unit, by the name of its file."""
    units = {unit_name(role): _service(role, settings, places, cores) for role in roles}
    return {**units, TARGET: _target(list(units), places)}


def _target(names: Sequence[str], places: Places) -> str:
    unit = [
        Setting("Description", "RNTS: telemetry of neurons"),
        Setting("Wants", " ".join(names)),
    ]
    wanted_by = "multi-user.target" if places.is_system else "default.target"
    sections: Sections = {"Unit": unit, "Install": [Setting("WantedBy", wanted_by)]}
    return unit_text(sections, _edit(TARGET, places))


def _service(role: str, settings: Settings, places: Places, cores: Mapping[str, str]) -> str:
    affinity = cores.get(role, cores.get(""))
    service = [
        *_command(role, places),
        *_life(role),
        *([Setting("CPUAffinity", affinity)] if affinity else []),
        *limits(role, settings, places),
    ]
    sections: Sections = {"Unit": list(_unit(role, places)), "Service": service}
    return unit_text(sections, _edit(unit_name(role), places))


def _edit(name: str, places: Places) -> str:
    return f"systemctl {'' if places.is_system else '--user '}edit {name}"


def _unit(role: str, places: Places) -> Iterator[Setting]:
    yield Setting("Description", f"RNTS {role}: {ROLES[role].lower()}")
    yield Setting("PartOf", TARGET)
    if places.is_system:
        yield Setting("Wants", "network-online.target")
        yield Setting("After", "network-online.target", "An address may not be there before.")
    if role in ("agent", "alert"):
        why = "The aggregator ends last, so that what others deliver at their end arrives."
        yield Setting("After", unit_name("aggregate"), why)
    others = [each for each in ROLES if (each == "up") != (role == "up")]
    yield Setting("Conflicts", " ".join(map(unit_name, others)), "Each role is there once.")
    yield Setting("StartLimitIntervalSec", "0", "It is started again however often it dies.")


def _command(role: str, places: Places) -> Iterator[Setting]:
    yield Setting("Type", "notify", "READY=1 comes when the role does its work.")
    yield Setting("NotifyAccess", "main")
    words = [places.python, "-P", "-m", "rnts", role]
    words += ["--config", places.config] if places.config else []
    if places.is_system and not places.is_runtime_kept:
        make = command_line(["mkdir", "-p", "-m", "700", places.runtime])
        yield Setting("ExecStartPre", f"+{make}", "A new start of the machine may have taken it.")
    yield Setting("ExecStart", command_line(words))
    if role == "alert":
        yield Setting("ExecReload", "kill -HUP $MAINPID", "Rules are read again.")
    yield Setting("WorkingDirectory", "/", "So that no ./rnts.yaml counts.")
    if places.is_system:
        yield Setting("User", "root", "Said for HOME, where its settings and keys are.")
        if not places.is_runtime_chosen:
            why = "No RNTS_RUNTIME_DIR: so the agent looks into the folders of all users."
            yield Setting("", why=why)
    for name, value in places.environment.items():
        yield Setting("Environment", quoted(f"{name}={value}"))
    if role == "up":
        yield Setting("StandardOutput", "null", "Its lines are the status; stderr is kept.")


def _life(role: str) -> Iterator[Setting]:
    yield Setting("TimeoutStartSec", str(START_S), "Kernels may have to be compiled first.")
    yield Setting("TimeoutStopSec", str(STOP_S), "An agent delivers the rest: 3 s at most.")
    yield Setting("WatchdogSec", str(WATCHDOG_S), "The main loop itself gives the signs of life.")
    yield Setting("Restart", "on-failure")
    yield Setting("RestartSec", str(RESTART_S))
    yield Setting("SuccessExitStatus", "130 143", "Ended by SIGINT, SIGTERM.")
    # 4, an address that another has, passes: it may be free later.
    why = "Wrong usage, invalid settings, a ledger that another has taken over: no start helps."
    yield Setting("RestartPreventExitStatus", "2 3 5", why)
    why = "SIGTERM goes to the process alone, which ends its children in order."
    yield Setting("KillMode", "mixed", why)
