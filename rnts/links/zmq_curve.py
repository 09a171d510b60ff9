"""CURVE for ZeroMQ: pairs of keys, the library that it needs, and who is let in by the door."""

import ctypes
import importlib
import logging

import zmq
from zmq.utils import z85

from rnts.errors import UsageError
from rnts.keys import KeyFolder, tolerant
from rnts.links.access import Access
from rnts.links.options import LinkOptions, needs
from rnts.links.zmq_messages import is_readable, receive_parts
from rnts.links.zmq_options import GUARDED

_DOOR = "inproc://zeromq.zap.01"  # where libzmq asks, by its own rule
_DOMAIN = b"rnts"
_ANSWERS_MAX = 64  # callers that are answered at once, so that messages get their turn

log = logging.getLogger("rnts.links")


def require_curve() -> None:
    """Raise UsageError where ZeroMQ cannot encrypt, or only by code that nobody should rely on."""
    if not zmq.has("curve"):
        raise UsageError("this libzmq was built without CURVE; install pyzmq's own wheel")
    backend = importlib.import_module("zmq.backend.cython._zmq").__file__
    # A library that was built with its little copy of tweetnacl says the same of itself, and is
    # ten times slower and without protection against timing. Only libsodium has this symbol.
    if not hasattr(ctypes.CDLL(backend), "sodium_init"):
        raise UsageError("this libzmq encrypts without libsodium; install pyzmq's own wheel")


def make_secret() -> bytes:
    """A new secret key."""
    require_curve()
    return _bytes(zmq.curve_keypair()[1])


def public_key(secret: bytes) -> str:
    """The public key of a secret one, in hex."""
    return _bytes(zmq.curve_public(_text(secret))).hex()


def _text(key: bytes) -> bytes:
    """A key as ZeroMQ writes it."""
    return z85.encode(key)


def _bytes(text: bytes) -> bytes:
    return z85.decode(text)


def prove(end: "zmq.Socket[bytes]", endpoint: str, options: LinkOptions) -> None:
    """Have a socket that connects show our key, and ask for the one that the aggregator must have.

    Raises UsageError where either is missing.
    """
    require_curve()
    keys = KeyFolder(options.keys)
    if not keys.has_secret:
        raise needs(endpoint, "make keys with `rnts keys generate`")
    expected = keys.trusted().get(endpoint)
    if expected is None:
        raise needs(endpoint, f"say whom to believe with `rnts keys trust {endpoint} KEY`")
    secret = keys.secret()
    end.setsockopt(zmq.CURVE_SERVERKEY, bytes.fromhex(expected))
    end.setsockopt(zmq.CURVE_PUBLICKEY, bytes.fromhex(public_key(secret)))
    end.setsockopt(zmq.CURVE_SECRETKEY, secret)


class Door:
    """Lets in whose key is on the list; the list is looked at again for each who knocks.

    It stands in the aggregator's own thread and answers a bounded number at once.
    """

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", options: LinkOptions) -> None:
        self._keys = KeyFolder(options.keys)
        self._allowed = tolerant(self._keys.allowed, log.warning)
        self.access = Access(self._allowed)
        self.refused = 0
        self._socket = context.socket(zmq.REP)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.bind(_DOOR)

    @property
    def socket(self) -> "zmq.Socket[bytes]":
        """What to wait at."""
        return self._socket

    def guard(self, end: "zmq.Socket[bytes]", endpoint: str) -> None:
        """Ask everybody who comes by the address that `end` binds next."""
        if not self._keys.has_secret:
            raise needs(endpoint, "make keys with `rnts keys generate`")
        self._keys.allowed()  # a damaged list is told at the start
        for option, value in GUARDED.items():
            end.setsockopt(option, value)
        end.setsockopt(zmq.ZAP_DOMAIN, _DOMAIN)
        end.setsockopt(zmq.CURVE_SERVER, 1)
        end.setsockopt(zmq.CURVE_SECRETKEY, self._keys.secret())

    def answer(self) -> None:
        """Let in or refuse those who have knocked."""
        for _ in range(_ANSWERS_MAX):
            if not is_readable(self._socket):
                return
            version, request, *rest = receive_parts(self._socket)
            key = rest[-1].hex() if len(rest) == 5 and rest[3] == b"CURVE" else ""
            is_in = key in self._allowed()
            self.refused += not is_in
            verdict = [b"200", b"", key.encode()] if is_in else [b"400", b"unknown key", b""]
            self._socket.send_multipart([version, request, *verdict, b""])

    def close(self) -> None:
        """Let nobody in any more."""
        self._socket.close()
