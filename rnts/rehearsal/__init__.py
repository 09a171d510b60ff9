"""Rules without a running aggregator: the machines of one, played through in time that is given.

    records ─► Windows ─► Engine ─► Standing ─► StandingSource ─► AlertService ─► Notebook
               (a test's or a recording's)      (over a Road, no socket)          (no action)

Nothing here reads a clock, so the same records and rules give the same result to the last byte.
"""
