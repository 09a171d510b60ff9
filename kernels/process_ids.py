"""Which neurons are processes that are only looked at: their ids say it by themselves.

The host source gives them (`rnts/host_identity.py`). Of a million other ids, which are hashes of
names, one in sixteen runs has one that looks like these.
"""

PROCESS_MARK = int.from_bytes(b"pid", "big")
PROCESS_BITS_BELOW = 40
