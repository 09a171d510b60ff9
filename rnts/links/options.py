"""How the ends of a link are to meet: by which protocol, and which addresses are encrypted."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rnts.errors import UsageError
from rnts.keys import default_keys_folder
from rnts.runtime import default_endpoint, is_loopback

if TYPE_CHECKING:
    from rnts.settings import Settings
    from rnts.settings_models import Transport

PLAINTEXT_ADVICE = (
    "or, where everyone who can reach it is trusted, set telemetry.transport.encryption: off"
)


class TlsFiles(NamedTuple):
    """The files of TLS in PEM: whom to believe, who this is, and the secret that proves it."""

    authority: str | None = None
    certificate: str | None = None
    key: str | None = None


@dataclass(frozen=True)
class LinkOptions:
    """What the settings say about links. Without any: ZeroMQ, and no secrets on this machine."""

    protocol: str = "zmq"
    encryption: str = "auto"  # or always, off
    keys_folder: Path | None = None  # None: the usual one
    tls: TlsFiles = field(default_factory=TlsFiles)

    @classmethod
    def of(cls, transport: Transport) -> LinkOptions:
        """Those of the settings."""
        folder = Path(transport.keys_dir) if transport.keys_dir else None
        tls = transport.tls
        files = TlsFiles(tls.ca, tls.certificate, tls.key)
        return cls(transport.protocol, transport.encryption, folder, files)

    @property
    def keys(self) -> Path:
        """The folder of the keys."""
        return self.keys_folder or default_keys_folder()

    def is_encrypted(self, endpoint: str) -> bool:
        """Whether what goes through an address is encrypted, and both ends prove who they are."""
        if endpoint.startswith("ipc://") or self.encryption == "off":
            return False
        return self.encryption == "always" or not is_loopback(endpoint)


def configured(config: Path | None) -> LinkOptions:
    """Those that are in force here, or of a file."""
    from rnts.settings import load

    return LinkOptions.of(load(config).telemetry.transport)


def own_endpoint(settings: Settings) -> str:
    """Where this machine's own programs reach the aggregator that the settings describe."""
    address, options = settings.aggregator.address, LinkOptions.of(settings.telemetry.transport)
    if address is None or options.is_encrypted(address):
        return default_endpoint()  # an encrypted one listens there as well
    return settings.aggregator.local_address or address


def needs(endpoint: str, what: str) -> UsageError:
    """The refusal to start where an address has to be encrypted and cannot be."""
    reason = (
        "can be reached from other machines" if not is_loopback(endpoint) else "is to be secret"
    )
    return UsageError(f"{endpoint} {reason}, so it has to be encrypted: {what}; {PLAINTEXT_ADVICE}")
