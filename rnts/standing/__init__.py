"""Standing queries: a client says once what it wants to know, and is told whenever that changes.

    WatchClient ─► WATCH, HEARD ─► Standing ─► Engine    (both without sockets and clocks)
                ◄─ PUSH, WHO    ◄─ Session, Outbox

docs/watch.md has the messages and what always holds.
"""
