"""How many notifications a receiver may still get: a bucket of tokens."""


class Bucket:
    """Holds up to `burst` tokens, and gets one more each `refill_ns`."""

    def __init__(self, burst: int, refill_ns: int) -> None:
        self._burst, self._refill_ns = burst, refill_ns
        self.tokens = burst
        self._filled_ns: int | None = None

    def fill(self, now_ns: int) -> int:
        """The tokens that there are now."""
        if self._filled_ns is None or self.tokens >= self._burst:
            self._filled_ns = now_ns
        gained = max(0, now_ns - self._filled_ns) // self._refill_ns
        self._filled_ns += gained * self._refill_ns
        self.tokens = min(self._burst, self.tokens + gained)
        return self.tokens

    def take(self) -> None:
        """Use one, where there is one."""
        self.tokens = max(0, self.tokens - 1)
