"""Limits that all drivers keep: what a message may weigh, and how many of them may wait where."""

MESSAGE_BYTES_MAX = (4 << 20) + 4096  # a frame at its largest, and its header
HIGH_WATER = 128  # messages that wait at one peer; credit allows 64 under way
BATCH = 256  # messages taken in at once, so that answers and windows are never put off for long
KEEPALIVE_S, KEEPALIVE_TRIES = 10, 3  # a host that is gone is let go of after 40 s
RECONNECT_MS, RECONNECT_MS_MAX = 20, 1000
