"""What to look at where a rule names no causes of its own, by what its condition reads."""

from collections.abc import Iterable

CAUSES_MAX = 3

_OF_TIMES = ("a slow dependency, a lock, or garbage collection in the worst neurons",)
_OF_SILENCE = (
    "whether the program still runs, and whether its agent is connected: rnts status",
    "records that were dropped on their way: rnts audit",
)
_BY_FUNCTION = {
    "absent": _OF_SILENCE,
    "health": ("the reason that the neuron gave: rnts status --neuron NAME",),
    "health_or_unknown": ("whether it says how it is: rnts status --neuron NAME",),
    "critical_neurons": ("the reasons that the neurons gave: rnts status",),
    "degraded_neurons": ("the reasons that the neurons gave: rnts status",),
    "error_rate": ("the newest ErrorOccurred events: rnts status",),
    "errors": ("the newest ErrorOccurred events: rnts status",),
    "affected_neurons": ("what the neurons that fail have in common: group, host, dependency",),
    "records": ("whether load has moved to or from these neurons",),
    "active_neurons": _OF_SILENCE,
    "neurons": ("whether programs were started, or have ended: rnts status",),
}
_BY_PREFIX = (
    ("processing_time", _OF_TIMES),
    ("queue_", ("consumers that are slower than what comes in",)),
    ("memory_", ("a leak, or a cache without a bound",)),
    ("cpu_", ("a loop that does not rest, or neighbours on the same host",)),
    ("gpu_", ("work that waits for the accelerator, or none that reaches it",)),
    ("cache_", ("a cold or too small cache, or keys that changed",)),
    ("bytes_", ("the network between the neurons, and messages that grew",)),
    ("messages_", ("neurons upstream that send more, or less",)),
    ("activation_", ("whether load has moved to or from these neurons",)),
    ("signal_", ("the source of the signal",)),
    ("noise_", ("the source of the signal",)),
    ("error", ("the newest ErrorOccurred events: rnts status",)),
)
_ELSE = ("what has changed since it was well: rnts status",)


def usual_causes(readings: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Causes for readings of (function, metric), the most telling first."""
    found: dict[str, None] = {}
    for function, metric in readings:
        causes = _BY_FUNCTION.get(function, ())
        if not causes and metric:
            causes = next((each for prefix, each in _BY_PREFIX if metric.startswith(prefix)), ())
        found.update(dict.fromkeys(causes))
    return tuple(found)[:CAUSES_MAX] or _ELSE
