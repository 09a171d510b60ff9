"""An ipc address belongs to one process: libraries themselves would take over a living one's."""

import socket

from rnts.errors import ConnectError


def claim_ipc(endpoint: str, owner: str = "aggregator") -> socket.socket | None:
    """Hold an ipc address for this process, which is an `owner`; None for another kind of address.

    An abstract socket does it: the kernel frees it with the process, however that ends.
    """
    if not endpoint.startswith("ipc://"):
        return None
    guard = socket.socket(socket.AF_UNIX)
    try:
        guard.bind("\0rnts-guard:" + endpoint[-90:])
    except OSError as error:
        guard.close()
        raise ConnectError(f"another {owner} listens at {endpoint}") from error
    return guard
