"""A plan of embedding a catalogue on CPU instances: core-hours from a calibrated engine, then hours, dollars and storage."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from m5model.planning.failures import interruptions_per_hour
from m5model.planning.fewest import find_fewest
from m5model.planning.fleet import GB, CpuInstance, PriceTable
from m5model.planning.profile import Profile
from m5model.planning.shape import Shape
from m5model.planning.speed import Calibration, count_call
from m5model.runtime.batching import rows_of_a_call
from schemas.checks import is_number, require
from schemas.errors import ConfigurationError

FLOAT = 4  # bytes of a component of a vector
MOST_INSTANCES = 4_096
ABOVE_ZERO = ("rows_per_wave_and_core", "rows_per_task", "executor_cores", "scan_gb_per_s")


@dataclass(frozen=True, kw_only=True)
class EmbeddingAssumptions:
    """Figures that nobody measured for this run. A report prints them; each has a flag."""

    core_scaling: float = 0.85  # speed of a core while all cores of its machine work, to that of one alone
    busy_share: float = 0.90  # of a task's time is tokenising and the model; the rest reads and writes
    task_overhead: float = 0.2  # seconds that Spark takes for a task
    commit_seconds: float = 10.0  # of a wave, on object storage; 1 to 2 on a local disk
    start_minutes: float = 5.0  # until a fleet works
    replace_minutes: float = 5.0  # until an interrupted instance is replaced
    rows_per_wave_and_core: float = 25_000  # as spark.embedding.embed
    rows_per_task: float = 8_192  # as spark.embedding.engine
    executor_cores: float = 16.0  # an executor does one task at a time with all its cores
    row_bytes: float = 120.0  # of a row of embeddings beside its vector, compressed
    scanned_bytes: float = 160.0  # of a listing that the search for pending ones reads: keys and fingerprints of both tables
    scan_gb_per_s: float = 1.0  # that an instance reads from object storage

    def __post_init__(self) -> None:
        shares = {name: getattr(self, name) for name in ("core_scaling", "busy_share")}
        rules = {
            f"{name} is {value}, expected above 0, at most 1": is_number(value, 0, 1) and value > 0
            for name, value in shares.items()
        }
        above = {name: getattr(self, name) for name in ABOVE_ZERO}
        rules |= {f"{name} is {value}, expected above 0": is_number(value, 0) and value > 0 for name, value in above.items()}
        every = asdict(self)
        rules |= {f"{name} is {value}, expected 0 or more": is_number(value, 0) for name, value in every.items()}
        require("assumptions", rules)

    def as_json(self) -> dict[str, float]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class LocaleWork:
    """States what one locale takes."""

    listings: float
    mean_tokens: float
    core_seconds: float  # of the calibrated core, alone


@dataclass(frozen=True, kw_only=True)
class EmbeddingWork:
    """States what is to be embedded. ``catalogue`` counts all listings, those that have vectors too."""

    shape: Shape
    catalogue: float
    locales: dict[str, LocaleWork]

    @property
    def listings(self) -> float:
        return sum(one.listings for one in self.locales.values())

    @property
    def tokens(self) -> float:
        return sum(one.listings * one.mean_tokens for one in self.locales.values())

    @property
    def core_seconds(self) -> float:
        return sum(one.core_seconds for one in self.locales.values())

    def share(self, share: float) -> "EmbeddingWork":
        """A refresh: so much of every locale."""
        kept = {
            code: replace(one, listings=one.listings * share, core_seconds=one.core_seconds * share)
            for code, one in self.locales.items()
        }
        return replace(self, locales=kept)


@dataclass(frozen=True, kw_only=True)
class EmbeddingPlan:
    """One run on one fleet; times in seconds."""

    work: EmbeddingWork
    instance: CpuInstance
    count: int
    dollars_per_instance_hour: float
    scan: float  # finding what is pending
    model: float  # embedding
    overhead: float  # Spark's, of tasks
    commits: float
    start: float
    lost: float  # to interruptions
    waves: int
    interruptions: float  # expected

    @property
    def hours(self) -> float:
        return (self.scan + self.model + self.overhead + self.commits + self.start + self.lost) / 3_600

    @property
    def dollars(self) -> float:
        return self.hours * self.count * self.dollars_per_instance_hour


def count_work(shape: Shape, listings: float, profile: Profile, calibration: Calibration) -> EmbeddingWork:
    """Core-seconds of all listings, by locale: texts of each length in full calls, as executors make them."""
    require("arguments", {f"listings is {listings:g}, expected 1 or more": is_number(listings, 1)})
    locales = {}
    for code, whole in profile.locales.items():
        texts = whole.cut(shape.max_tokens)
        seconds = sum(share * seconds_of_text(shape, length, calibration) for length, share in texts.lengths.items())
        own = listings * whole.share
        locales[code] = LocaleWork(listings=own, mean_tokens=texts.mean_tokens, core_seconds=own * seconds)
    return EmbeddingWork(shape=shape, catalogue=listings, locales=locales)


def seconds_of_text(shape: Shape, length: int, calibration: Calibration) -> float:
    """Of one core: tokenised, and encoded in a full call."""
    rows = rows_of_a_call(length)
    return calibration.embedding.of(count_call(shape, rows, length)) / rows + length * calibration.tokenizing


def plan_embedding(
    work: EmbeddingWork,
    prices: PriceTable,
    calibration: Calibration,
    instance: CpuInstance,
    count: int,
    *,
    spot: bool,
    assumed: EmbeddingAssumptions,
) -> EmbeddingPlan:
    """On ``count`` instances whose cores relate to the calibrated one as the table says."""
    speed = prices.speed_of(instance) / prices.instruction_sets[calibration.instructions].speed
    cores = count * instance.cores
    model = work.core_seconds / (cores * speed * assumed.core_scaling * assumed.busy_share)
    waves = max(1, math.ceil(work.listings / (assumed.rows_per_wave_and_core * cores)))
    tasks = work.listings / assumed.rows_per_task / count_executors(instance, count, assumed)  # one after the other
    overhead, commits = tasks * assumed.task_overhead, waves * assumed.commit_seconds
    scan = work.catalogue * assumed.scanned_bytes / (count * assumed.scan_gb_per_s * GB)
    rate = interruptions_per_hour(prices.spot.interrupted_per_month) if spot else 0.0
    task = (model + overhead) / max(1.0, tasks)
    computing = scan + model + overhead + commits
    each = rate / 3_600 * computing  # interruptions of one instance
    return EmbeddingPlan(
        work=work,
        instance=instance,
        count=count,
        dollars_per_instance_hour=instance.dollars_per_hour * (prices.spot.price_share if spot else 1.0),
        scan=scan,
        model=model,
        overhead=overhead,
        commits=commits,
        start=assumed.start_minutes * 60,
        lost=each * (task / 2 + assumed.replace_minutes * 60),
        waves=waves,
        interruptions=each * count,
    )


def count_executors(instance: CpuInstance, count: int, assumed: EmbeddingAssumptions) -> int:
    """Of ``count`` instances; at least one each."""
    return count * max(1, int(instance.cores // assumed.executor_cores))


@dataclass(frozen=True, kw_only=True)
class EmbeddingWish:
    """States what a user wants of a run; None where it does not matter."""

    work: EmbeddingWork
    hours: float | None = None
    dollars: float | None = None
    spot: bool = False
    assumed: EmbeddingAssumptions = EmbeddingAssumptions()


def plan_with(
    wish: EmbeddingWish, prices: PriceTable, calibration: Calibration, instance: CpuInstance, count: int
) -> EmbeddingPlan:
    return plan_embedding(wish.work, prices, calibration, instance, count, spot=wish.spot, assumed=wish.assumed)


def cheapest_of_each(
    wish: EmbeddingWish, prices: PriceTable, calibration: Calibration, instances: Sequence[CpuInstance]
) -> list[EmbeddingPlan]:
    """For each kind the fewest instances that keep the hours, cheapest first. Raises ConfigurationError where nothing does."""
    plans = [plan for one in instances if (plan := fewest(wish, prices, calibration, one))]
    if not plans:
        quick = min(
            (plan_with(wish, prices, calibration, one, MOST_INSTANCES) for one in instances), key=lambda plan: plan.hours
        )
        raise ConfigurationError(
            f"no fleet of up to {MOST_INSTANCES:,} instances embeds {wish.work.listings:.3g} listings in {wish.hours:,.2f} h",
            next_step=f"allow {quick.hours:,.2f} h: {quick.count:,} x {quick.instance.name}, ${quick.dollars:,.0f}",
        )
    plans.sort(key=lambda plan: plan.dollars)
    if wish.dollars is not None and plans[0].dollars > wish.dollars:
        _refuse_price(wish, prices, calibration, instances, plans[0])
    return plans


def _refuse_price(
    wish: EmbeddingWish, prices: PriceTable, calibration: Calibration, instances: Sequence[CpuInstance], best: EmbeddingPlan
) -> None:
    wanted = wish.dollars or 0.0
    within = f" within {wish.hours:,.1f} h" if wish.hours is not None else ""
    advice = [f"give --budget {math.ceil(best.dollars)}"]
    if wanted > 0:
        advice.append(f"embed {wanted / best.dollars * wish.work.listings:.3g} listings")
    patient = replace(wish, hours=None, dollars=None)
    slow = cheapest_of_each(patient, prices, calibration, instances)[0]
    if slow.dollars <= wanted:
        advice.append(f"allow {slow.hours:,.0f} h on {slow.count:,} x {slow.instance.name} for ${slow.dollars:,.0f}")
    raise ConfigurationError(
        f"the cheapest plan{within} costs ${best.dollars:,.0f} on {best.count:,} x {best.instance.name}, "
        f"${best.dollars - wanted:,.0f} more than the ${wanted:,.0f} that there are",
        next_step="; or ".join(advice),
    )


def fewest(wish: EmbeddingWish, prices: PriceTable, calibration: Calibration, instance: CpuInstance) -> EmbeddingPlan | None:
    """The least number of instances that keeps the hours; one where there is no limit."""

    def in_time(count: int) -> EmbeddingPlan | None:
        plan = plan_with(wish, prices, calibration, instance, count)
        return plan if wish.hours is None or plan.hours <= wish.hours else None

    return find_fewest(in_time, MOST_INSTANCES)


def stored_gb(shape: Shape, listings: float, assumed: EmbeddingAssumptions) -> float:
    """Of the table of embeddings, in GB: vectors hardly compress."""
    return listings * (shape.hidden_size * FLOAT + assumed.row_bytes) / GB
