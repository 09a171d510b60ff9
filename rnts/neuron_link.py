"""What an application reports of what flows from one neuron to another."""

from __future__ import annotations

import time

import rnts
from rnts import writer
from rnts.model import FIELD, Kind

_PEER, _LATENCY = FIELD["link_peer_id"].mask, FIELD["link_latency_ns"].mask
_MESSAGES, _BYTES = FIELD["link_messages"].mask, FIELD["link_bytes"].mask
_NAMES = ("messages", "bytes", "latency_ns", "timestamp_ns")


class Link:
    """What flows from one neuron to another."""

    __slots__ = ("_neuron", "peer_id")

    def __init__(self, neuron: rnts.Neuron, peer_id: int) -> None:
        self._neuron = neuron
        self.peer_id = peer_id

    def sent(
        self,
        messages: int | None = 1,
        bytes: int | None = 0,
        latency_ns: int | None = None,
        *,
        timestamp_ns: int | None = None,
        **unknown: object,
    ) -> bool:
        """Report what went to the peer since the last call, and how long one message took.

        None says that it is not known: a link of which only its being there is reported. Never
        raises; an unknown keyword is left out and warned about once.
        """
        lane = self._neuron._writer()
        if lane is None:
            return False
        if unknown:
            self._neuron._producer.complaints.unknown(unknown, _NAMES)
        mask = _PEER
        for value, bit in ((messages, _MESSAGES), (bytes, _BYTES), (latency_ns, _LATENCY)):
            mask |= 0 if value is None else bit
        header = (int(Kind.LINK), mask, self._neuron.id, timestamp_ns or time.time_ns())
        known = (0 if value is None else value for value in (messages, bytes, latency_ns))
        values = (self.peer_id, *known)
        return lane.write(writer.LINK_FORMAT, (*header, *values))
