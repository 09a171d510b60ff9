"""What both ends of gRPC agree on: the method, how a message is packed, options, certificates.

A message's parts travel as one: their count, the length of each, then all of them. There is no
protobuf in it, so that frames are not copied through a compiler's classes.
"""

import os
import struct
from pathlib import Path
from typing import Any

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its C code writes to stderr past all handlers

import grpc

from rnts.errors import UsageError
from rnts.keys import read_private
from rnts.links.limits import (
    KEEPALIVE_S,
    MESSAGE_BYTES_MAX,
    RECONNECT_MS_MAX,
)
from rnts.links.options import LinkOptions, needs

SERVICE, METHOD = "rnts.Link", "Speak"
PATH = f"/{SERVICE}/{METHOD}"
PARTS_MAX = 8
_LENGTH = struct.Struct("<I")
_CONNECT_MS = 5000

# A message that is larger ends its stream; by default frames of 4 MiB would. Silence is looked into
# by HTTP/2's pings: a network that swallows packets tells nobody.
COMMON: list[tuple[str, Any]] = [
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.keepalive_time_ms", KEEPALIVE_S * 1000),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_S * 1000),
    ("grpc.http2.max_pings_without_data", 0),
]
CLIENT = [
    *COMMON,
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", _CONNECT_MS),  # it is the time-out of an attempt, too
    ("grpc.max_reconnect_backoff_ms", RECONNECT_MS_MAX),
    ("grpc.enable_http_proxy", 0),  # a variable for browsers must not lead telemetry elsewhere
    ("grpc.use_local_subchannel_pool", 1),  # a new channel is a new connection, and no dead one
]
SERVER = [
    *COMMON,
    ("grpc.so_reuseport", 0),  # a second aggregator at the address is refused, and not shared with
    ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_S * 500),
]


def pack(parts: list[bytes]) -> bytes:
    """One message as bytes."""
    lengths = (_LENGTH.pack(len(part)) for part in parts)
    return b"".join((bytes([len(parts)]), *lengths, *parts))


def unpack(raw: bytes) -> list[bytes] | None:
    """The parts of a message, or None where its lengths do not add up."""
    count = raw[0] if raw else 0
    start = 1 + count * _LENGTH.size
    if not 0 < count <= PARTS_MAX or len(raw) < start:
        return None
    parts = []
    for index in range(count):
        (length,) = _LENGTH.unpack_from(raw, 1 + index * _LENGTH.size)
        parts.append(raw[start : start + length])
        start += length
    return parts if start == len(raw) else None


def target(endpoint: str) -> str:
    """An address as gRPC writes it."""
    if endpoint.startswith("ipc://@"):
        return "unix-abstract:" + endpoint.removeprefix("ipc://@")
    if endpoint.startswith("ipc://"):
        return "unix:" + endpoint.removeprefix("ipc://")
    return endpoint.removeprefix("tcp://").replace("*:", "[::]:", 1)


def open_channel(endpoint: str, options: LinkOptions) -> grpc.Channel:
    """A channel to an aggregator; raises UsageError where it has to be secret and cannot be."""
    if not options.is_encrypted(endpoint):
        return grpc.insecure_channel(target(endpoint), CLIENT)
    key, chain, authority = _certificates(endpoint, options)
    credentials = grpc.ssl_channel_credentials(authority, key, chain)
    return grpc.secure_channel(target(endpoint), credentials, CLIENT)


def server_credentials(endpoint: str, options: LinkOptions) -> grpc.ServerCredentials:
    """Those of an aggregator, which asks everybody who comes for a certificate."""
    key, chain, authority = _certificates(endpoint, options)
    if authority is None:
        raise needs(endpoint, "set telemetry.transport.tls.ca to who signs agents' certificates")
    return grpc.ssl_server_credentials([(key, chain)], authority, require_client_auth=True)


def _certificates(endpoint: str, options: LinkOptions) -> tuple[bytes, bytes, bytes | None]:
    """Key, certificate and, where it is set, authority."""
    tls = options.tls
    if not tls.certificate or not tls.key:
        raise needs(endpoint, "set telemetry.transport.tls.certificate and .key")
    authority = _read(tls.authority) if tls.authority else None
    return read_private(Path(tls.key)), _read(tls.certificate), authority


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
