"""When the demo's next steps are due: model time follows the wall clock, or slips behind it."""

TICK_NS = 5_000_000  # how long the loop sleeps between two bursts of steps
BURST_NS = 50_000_000  # longest burst, so that signals and faults are seen soon
LAG_NS_MAX = 100_000_000  # what is caught up on; the rest is model time that never happens
COST_GAIN = 0.2  # weight of the newest burst in the running average of a step's cost


class Pacer:
    """Counts steps against a clock that the caller reads; one step is due each `step_ns`."""

    def __init__(self, now_ns: int, step_ns: int) -> None:
        self.step_ns = step_ns
        self.cost_ns = 0.0
        self._due_ns = now_ns

    @property
    def interval_ns(self) -> float:
        """Wall time from one step to the next, on average: more than `step_ns` when too slow."""
        return max(float(self.step_ns), self.cost_ns)

    def steps_due(self, now_ns: int) -> int:
        """How many steps to do at once; 0 if the next one is not due yet."""
        lag_ns = now_ns - self._due_ns
        if lag_ns < 0:
            return 0
        if lag_ns > LAG_NS_MAX:
            self._due_ns = now_ns - LAG_NS_MAX
            lag_ns = LAG_NS_MAX
        affordable = int(BURST_NS / self.cost_ns) if self.cost_ns else 1
        return min(lag_ns // self.step_ns + 1, max(1, affordable))

    def note(self, steps: int, took_ns: int) -> None:
        """Say that so many steps are done, and how long they took together."""
        self._due_ns += steps * self.step_ns
        cost_ns = max(1.0, took_ns / steps)
        # The first burst is dear, since it touches memory for the first time: forget it at once.
        is_like_others = cost_ns > self.cost_ns / 2 > 0
        self.cost_ns += (COST_GAIN if is_like_others else 1.0) * (cost_ns - self.cost_ns)
