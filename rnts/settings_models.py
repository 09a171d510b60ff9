"""Every setting, described once: its type, its limits and its meaning; defaults are in config/."""

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic import field_serializer, field_validator
from pydantic.fields import FieldInfo

from rnts.settings_alerts import AlertSections
from rnts.settings_fields import (
    Bind,
    Encryption,
    Endpoint,
    Folder,
    LedgerPath,
    Percentile,
    Section,
)
from rnts.settings_fields import setting as _setting
from rnts.settings_fields import share as _share
from rnts.settings_fields import whole as _whole
from rnts.settings_spool import SpoolSettings
from rnts.settings_tree import KeyPath
from rnts.settings_values import check_unique, with_scheme
from rnts.settings_wire import FloatErrors

ENDPOINTS_MAX, PERCENTILES_MAX = 16, 32
_FILE = "an absolute path or null"


class Collection(Section):
    """How records leave an application."""

    ring_buffer_size: int = _whole(64, 1 << 20, "slots of a lane, rounded up to a power of two")
    batch_size: int = _whole(1, 65_536, "records that fill a batch")
    batch_timeout_ms: int = _whole(1, 1_000, "longest from a batch to one that is not full")
    compression: Literal["lz4", "rice", "none"] = _setting(
        "how frames are packed: quickly, and by lz4 where that pays; as small as can be; quickly"
    )
    wake_agent: bool = _setting(
        "whether a record that ends a silence wakes the agent, by a system call of its program"
    )
    error_max: FloatErrors

    @property
    def lane_slots(self) -> int:
        """`ring_buffer_size` rounded up to a power of two."""
        return 1 << (self.ring_buffer_size - 1).bit_length()


class ImportanceWeights(Section):
    """How strongly adaptive sampling keeps each class of neurons."""

    critical_path: float = _share("weight of neurons on the critical path")
    high_activity: float = _share("weight of the busiest neurons")
    normal: float = _share("weight of all other neurons")


class Sampling(Section):
    """Which records are kept."""

    base_rate: float = _setting(
        "share of the records that is kept", "a number above 0, up to 1", gt=0, le=1
    )
    adaptive: bool = _setting("whether the rate follows load and importance")
    importance_weights: ImportanceWeights


class Aggregation(Section):
    """How records become statistics."""

    window_ms: int = _whole(100, 60_000, "length of a window of event time")
    percentiles: tuple[Percentile, ...] = _setting(
        "percentiles that are reported of each metric",
        f"a list of 1 to {PERCENTILES_MAX} different numbers above 0 and below 100",
        item="a number above 0 and below 100",
        min_length=1,
        max_length=PERCENTILES_MAX,
    )

    @field_validator("percentiles")
    @classmethod
    def _in_order(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(sorted(check_unique(values)))

    @field_serializer("percentiles")
    def _as_people_write_them(self, values: tuple[float, ...]) -> list[int | float]:
        return [int(value) if value.is_integer() else value for value in values]


class Tls(Section):
    """What proves who is who under gRPC."""

    ca: Folder = _setting(
        "file of who signs certificates; null is whom this machine believes, at agents only",
        _FILE,
        example="/etc/rnts/ca.pem",
    )
    certificate: Folder = _setting("file that says who this is", _FILE, example="/etc/rnts/me.pem")
    key: Folder = _setting("file of the secret behind it", _FILE, example="/etc/rnts/me.key")


class Transport(Section):
    """How frames travel from agents to aggregators."""

    protocol: Literal["zmq", "grpc"] = _setting("how agents and aggregators talk")
    endpoints: tuple[Endpoint, ...] = _setting(
        "aggregators in order of preference; none is this machine's own",
        f"a list of up to {ENDPOINTS_MAX} of host:port, tcp://host:port or ipc:///path",
        item="host:port, tcp://host:port or ipc:///path",
        example=("127.0.0.1:8090",),
        max_length=ENDPOINTS_MAX,
    )
    timeout_ms: int = _whole(1, 60_000, "silence after which an aggregator is suspected")
    retry_count: int = _whole(0, 100, "tries of one endpoint before the next is taken")
    encryption: Encryption = _setting(
        "which TCP addresses are encrypted: those that other machines can reach, all, or none"
    )
    keys_dir: Folder = _setting(
        "folder of the keys of `rnts keys`; null is $XDG_CONFIG_HOME/rnts/keys",
        "an absolute path or null",
        example="/etc/rnts/keys",
    )
    tls: Tls
    _unique = field_validator("endpoints")(check_unique)

    @property
    def addresses(self) -> tuple[str, ...]:
        """The endpoints with their scheme, so that `host:port` is `tcp://host:port`."""
        return tuple(map(with_scheme, self.endpoints))


class Telemetry(Section):
    """The road of the data."""

    collection: Collection
    sampling: Sampling
    aggregation: Aggregation
    transport: Transport


class Agent(Section):
    """The program that collects on a host."""

    host: bool = _setting("whether every process of this machine is watched as a neuron")
    host_interval_ms: int = _whole(10, 60_000, "time between two looks at all processes")
    retained_bytes_max: int = _whole(
        1 << 16, 1 << 40, "memory for frames that are not committed; what is beyond it is spooled"
    )
    spool: SpoolSettings
    segments_dir: Folder = _setting(
        "folder of the segments; null is the runtime folder",
        "an absolute path or null",
        example="/dev/shm",
    )


class Aggregator(Section):
    """The program that folds records into windows."""

    bind: Bind = _setting(
        "address to listen at; null is this machine only, over ipc",
        "tcp://host:port, ipc:///path or null",
        example="tcp://*:8090",
    )
    max_neurons: int = _whole(1, 1_000_000, "neurons with a row of their own; the rest share one")
    max_groups: int = _whole(
        1, 4_096, "groups at a time with statistics of their own; the rest share one"
    )
    grace_ms: int = _whole(0, 60_000, "how long a window waits for late records")
    retire_after_s: int = _whole(
        1, 86_400, "silence after which a neuron, or an empty group, is forgotten"
    )
    seal_after: int = _whole(0, 5, "closed windows that late records still revise")
    ledger: LedgerPath = _setting(
        "file of closed windows, so that a restart goes on", "auto, off or an absolute path"
    )
    ledger_bytes_max: int = _whole(1 << 20, 1 << 40, "bytes of the ledger; beyond it the oldest go")

    @property
    def address(self) -> str | None:
        """`bind` with its scheme, so that `host:port` is `tcp://host:port`."""
        return None if self.bind is None else with_scheme(self.bind)

    @property
    def local_address(self) -> str | None:
        """Where this machine's own programs reach `address`."""
        address = self.address
        if address and address.startswith(("tcp://*:", "tcp://0.0.0.0:")):
            return f"tcp://127.0.0.1:{address.rpartition(':')[2]}"
        return address


class _Road(Section):
    """A base of its own, so that its section stands before those of alerts."""

    telemetry: Telemetry


class Document(AlertSections, _Road):
    """All settings, as they stand in a file."""

    agent: Agent
    aggregator: Aggregator


def leaves(model: type[Section] = Document, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Each setting that holds a value of its own: (path, FieldInfo), in the order of the file."""
    for name, info in model.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, Section):
            yield from leaves(info.annotation, (*path, name))
        else:
            yield (*path, name), info


def expects(info: FieldInfo, is_item: bool = False) -> str:
    """What belongs into a setting, or into each item of its list, in words."""
    if get_origin(info.annotation) is Literal:
        *words, last = get_args(info.annotation)
        return f"{', '.join(words)} or {last}"
    if info.annotation is bool:
        return "true or false"
    return _words(info)["item" if is_item else "expects"]


def example(info: FieldInfo) -> object:
    """A value for a setting whose default shows nothing; else None."""
    return _words(info)["example"]


def _words(info: FieldInfo) -> dict[str, Any]:
    assert isinstance(info.json_schema_extra, dict), "settings are made by _setting"
    return info.json_schema_extra
