"""Reads the table of devices, instances and prices: ``fleet.toml`` beside this file, or a user's own file of the same form."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from schemas.checks import is_number, is_whole, require
from schemas.errors import ConfigurationError

TABLE_FILE = Path(__file__).with_name("fleet.toml")
GB = 1e9
# What plans divide by.
DIVISORS = ("peak_tflops", "memory_gb_per_s", "link_gb_per_s", "network_gbit_per_s", "speed")


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of the table: every row says where it comes from, and when that held."""

    name: str
    source: str
    dated: str
    note: str

    def __post_init__(self) -> None:
        numbers = {name: value for name, value in vars(self).items() if not isinstance(value, str | bool)}
        owner = f"{type(self).__name__} {self.name!r} of the price table"
        rules = {f"{name} is {value!r}, expected 0 or more": is_number(value, 0) for name, value in numbers.items()}
        above = {name: value for name, value in numbers.items() if name in DIVISORS}
        rules |= {f"{name} is {value!r}, expected above 0": is_number(value, 0) and value > 0 for name, value in above.items()}
        share = numbers.get("interrupted_per_month", 0)
        rules |= {f"interrupted_per_month is {share!r}, expected below 1": is_number(share, 0) and share < 1}
        require(owner, rules)
        require(owner, {"source is empty, expected where the figures come from": bool(self.source.strip())})


@dataclass(frozen=True, kw_only=True)
class Device(Row):
    """An accelerator."""

    peak_tflops: float  # dense 16-bit, 1e12 operations a second
    memory_gb: float  # 1e9 bytes
    memory_gb_per_s: float


@dataclass(frozen=True, kw_only=True)
class Instance(Row):
    """A machine with accelerators."""

    device: str
    devices: int
    dollars_per_hour: float  # on demand; 0: not rented by the hour
    link_gb_per_s: float  # between its devices, per device and direction
    network_gbit_per_s: float
    host_memory_gb: float
    history: bool  # not for new plans, unless it is named


@dataclass(frozen=True, kw_only=True)
class CpuInstance(Row):
    """A machine that embeds."""

    vcpus: int
    cores: int  # physical
    memory_gb: float
    instructions: str  # name of an InstructionSet
    dollars_per_hour: float


@dataclass(frozen=True, kw_only=True)
class InstructionSet(Row):
    """Speed of a core, as a multiple of one with AVX-512 VNNI."""

    speed: float
    measured: bool  # by this project; plans choose from others only where they are named


@dataclass(frozen=True, kw_only=True)
class Spot(Row):
    """Instances that may be taken away."""

    price_share: float  # of the price on demand
    interrupted_per_month: float  # share of instances


@dataclass(frozen=True, kw_only=True)
class ObjectStorage(Row):
    """The storage that tables lie on."""

    dollars_per_gb_month: float


Kind = TypeVar("Kind", bound=Row)


@dataclass(frozen=True, kw_only=True)
class PriceTable:
    """All rows, by name."""

    dated: str
    path: str
    devices: Mapping[str, Device]
    instances: Mapping[str, Instance]
    cpu_instances: Mapping[str, CpuInstance]
    instruction_sets: Mapping[str, InstructionSet]
    spot: Spot
    object_storage: ObjectStorage

    def instance(self, name: str) -> Instance:
        return _find(self.instances, name, "instance with devices")

    def cpu_instance(self, name: str) -> CpuInstance:
        return _find(self.cpu_instances, name, "CPU instance")

    def device_of(self, instance: Instance) -> Device:
        return self.devices[instance.device]

    def speed_of(self, instance: CpuInstance) -> float:
        return self.instruction_sets[instance.instructions].speed

    def measured(self) -> tuple[CpuInstance, ...]:
        """Instances of whose cores the speed was measured."""
        rows = self.cpu_instances.values()
        return tuple(one for one in rows if self.instruction_sets[one.instructions].measured)

    def rented(self) -> tuple[Instance, ...]:
        """Instances that a new plan may choose from."""
        return tuple(one for one in self.instances.values() if not one.history and one.dollars_per_hour > 0)


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """Instances of one kind that work on one run."""

    instance: Instance
    device: Device
    count: int
    dollars_per_instance_hour: float  # what is paid: on demand, or spot
    failures_per_instance_hour: float = 0.0

    @property
    def devices(self) -> int:
        return self.count * self.instance.devices

    @property
    def dollars_per_hour(self) -> float:
        return self.count * self.dollars_per_instance_hour

    @property
    def peak_flops(self) -> float:
        """Operations a second of all devices."""
        return self.devices * self.device.peak_tflops * 1e12

    def __str__(self) -> str:
        return f"{self.count:,} x {self.instance.name} ({self.devices:,} {self.device.name})"


def read_price_table(path: str | None = None) -> PriceTable:
    """The table of ``path``, or the one that comes with M5. Raises ConfigurationError naming what is wrong in it."""
    return _read(Path(path) if path else TABLE_FILE)


@cache
def _read(file: Path) -> PriceTable:
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(
            f"the price table {file} cannot be read: {error}", next_step=f"give a TOML file in the form of {TABLE_FILE.name}"
        ) from error
    lists = {name: found.get(name, []) for name in ("devices", "instances", "cpu_instances", "instruction_sets")}
    table = PriceTable(
        dated=str(found.get("dated", "not dated")),
        path=file.name,
        devices=_rows(Device, lists["devices"]),
        instances=_rows(Instance, lists["instances"]),
        cpu_instances=_rows(CpuInstance, lists["cpu_instances"]),
        instruction_sets=_rows(InstructionSet, lists["instruction_sets"]),
        spot=_row(Spot, {"name": "spot", **found.get("spot", {})}),
        object_storage=_row(ObjectStorage, {"name": "object storage", **found.get("object_storage", {})}),
    )
    _check_references(table)
    return table


def _rows(kind: type[Kind], entries: Sequence[Mapping[str, Any]]) -> dict[str, Kind]:
    rows = [_row(kind, entry) for entry in entries]
    return {row.name: row for row in rows}


def _row(kind: type[Kind], entry: Mapping[str, Any]) -> Kind:
    names = {one.name for one in fields(kind)}
    owner = f"{kind.__name__} {entry.get('name')!r} of the price table"
    missing, unknown = sorted(names - entry.keys()), sorted(entry.keys() - names)
    require(owner, {f"there is no {', '.join(missing)}": not missing, f"{', '.join(unknown)} has no meaning": not unknown})
    return kind(**entry)


def _check_references(table: PriceTable) -> None:
    rules = {f"{one.name} has unknown device {one.device}": one.device in table.devices for one in table.instances.values()}
    rules |= {
        f"{one.name} has unknown instructions {one.instructions}": one.instructions in table.instruction_sets
        for one in table.cpu_instances.values()
    }
    rules |= {f"{one.name} has {one.devices} devices": is_whole(one.devices, 1) for one in table.instances.values()}
    rules |= {f"{one.name} has {one.cores} cores": is_whole(one.cores, 1) for one in table.cpu_instances.values()}
    require("the price table", rules)


def _find(rows: Mapping[str, Kind], name: str, what: str) -> Kind:
    if name not in rows:
        raise ConfigurationError(
            f"the price table has no {what} {name!r}", next_step=f"give one of: {', '.join(rows)}; or add it with --prices FILE"
        )
    return rows[name]
