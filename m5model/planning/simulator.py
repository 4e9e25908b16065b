"""Simulates waves of embedding tasks on executors of any speeds, with failures, stragglers and speculative copies.

Events are simpy's. A run is a pure function of its settings and its seed. Spark's rules hold where they matter: an idle
executor takes the next task; at the end of a wave it may copy a task that runs far longer than the median (speculation); the
copy that ends first counts; a wave is committed when all its tasks are done, and then the next one begins.
"""

import random
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, field
from statistics import median

import simpy

from schemas.checks import is_number, require

Events = Generator[simpy.Event, object, None]


@dataclass(frozen=True, kw_only=True)
class Work:
    """States what is to be done. Raises ConfigurationError that lists every problem at once."""

    waves: tuple[tuple[float, ...], ...]  # seconds of every task, on an executor of speed 1
    commit: float = 0.0  # seconds after every wave, while executors wait
    overhead: float = 0.0  # seconds of every task, on executors of any speed

    def __post_init__(self) -> None:
        tasks = [seconds for wave in self.waves for seconds in wave]
        rules = {
            "there is no task": bool(tasks),
            "a task takes less than 0 seconds": all(is_number(seconds, 0) for seconds in tasks),
            f"commit is {self.commit} and overhead {self.overhead}, expected 0 or more": min(self.commit, self.overhead) >= 0,
        }
        require("simulated work", rules)


@dataclass(frozen=True, kw_only=True)
class Executors:
    """States who does it. Raises ConfigurationError that lists every problem at once."""

    speeds: tuple[float, ...]  # one for each executor
    failures_per_hour: float = 0.0  # of each: the executor and what it was doing are lost
    restart: float = 0.0  # seconds until a failed one is replaced
    straggler_share: float = 0.0  # of the attempts, by chance
    straggler_factor: float = 1.0  # how much longer they take
    speculation: bool = False
    speculation_quantile: float = 0.9  # of a wave's tasks must be done, as spark.speculation.quantile
    speculation_multiplier: float = 3.0  # times the median, as spark.speculation.multiplier

    def __post_init__(self) -> None:
        rules = {
            "there is no executor": bool(self.speeds),
            "a speed is not above 0": all(is_number(speed, 0) and speed > 0 for speed in self.speeds),
            f"failures_per_hour is {self.failures_per_hour}, expected 0 or more": is_number(self.failures_per_hour, 0),
            f"straggler_share is {self.straggler_share}, expected 0 to 1": is_number(self.straggler_share, 0, 1),
            f"straggler_factor is {self.straggler_factor}, expected 1 or more": is_number(self.straggler_factor, 1),
        }
        require("simulated executors", rules)


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """States how it went; seconds."""

    seconds: float  # from the first task to the last commit
    busy: float  # of all executors, on attempts that counted
    wasted: float  # of all executors, on attempts that failed or came second
    failures: int
    copies: int

    @property
    def useful_share(self) -> float:
        """Of what executors did."""
        return self.busy / (self.busy + self.wasted) if self.busy else 0.0


@dataclass
class _Attempt:
    executor: int
    began: float
    cancelled: simpy.Event


@dataclass
class _Wave:
    """A wave that is being worked on."""

    tasks: tuple[float, ...]
    waiting: deque[int]
    ended: simpy.Event
    nearly: simpy.Event  # so many tasks are done that others may be copied
    idle: deque[simpy.Event] = field(default_factory=deque)  # of executors that have nothing to do
    overdue: deque[int] = field(default_factory=deque)  # tasks that an idle executor may copy
    running: dict[int, list[_Attempt]] = field(default_factory=dict)
    taken: list[float] = field(default_factory=list)  # seconds of the attempts that counted

    def next_task(self) -> int | None:
        """One that waits, or else one that is overdue and still runs alone."""
        if self.waiting:
            return self.waiting.popleft()
        while self.overdue:
            task = self.overdue.popleft()
            if len(self.running.get(task, ())) == 1:
                return task
        return None

    def wake(self, executors: int) -> None:
        for _ in range(min(executors, len(self.idle))):
            self.idle.popleft().succeed()


def simulate(work: Work, executors: Executors, seed: int = 0) -> Simulated:
    """Run all waves, one after the other."""
    return _Run(work, executors, seed).run()


def equal_tasks(waves: int, tasks: int, seconds: float, skew: float = 0.0, seed: int = 0) -> tuple[tuple[float, ...], ...]:
    """Waves of tasks with this mean; ``skew`` is the standard deviation as a share of it (log-normal)."""
    draw = random.Random(seed)
    if not skew:
        return ((seconds,) * tasks,) * waves
    raw = [[draw.lognormvariate(0.0, skew) for _ in range(tasks)] for _ in range(waves)]
    scale = seconds * waves * tasks / sum(map(sum, raw))
    return tuple(tuple(one * scale for one in wave) for wave in raw)


class _Run:
    def __init__(self, work: Work, executors: Executors, seed: int) -> None:
        self._work = work
        self._executors = executors
        self._draw = random.Random(seed)
        self._clock = simpy.Environment()
        self._busy = self._wasted = 0.0
        self._failures = self._copies = 0
        self._ready = [0.0] * len(executors.speeds)  # when each has been replaced

    def run(self) -> Simulated:
        self._clock.run(self._clock.process(self._waves()))
        return Simulated(
            seconds=self._clock.now,
            busy=self._busy,
            wasted=self._wasted,
            failures=self._failures,
            copies=self._copies,
        )

    def _waves(self) -> Events:
        for tasks in self._work.waves:
            wave = _Wave(tasks, deque(range(len(tasks))), self._clock.event(), self._clock.event())
            for place in range(len(self._executors.speeds)):
                self._clock.process(self._serve(wave, place))
            if self._executors.speculation:
                self._clock.process(self._watch(wave))
            yield wave.ended
            yield self._clock.timeout(self._work.commit)

    def _serve(self, wave: _Wave, place: int) -> Events:
        """One executor, until the wave has ended."""
        yield self._clock.timeout(max(0.0, self._ready[place] - self._clock.now))
        while not wave.ended.triggered:
            task = wave.next_task()
            if task is None:
                asleep = self._clock.event()
                wave.idle.append(asleep)
                yield asleep
            else:
                yield from self._attempt(wave, place, task)

    def _watch(self, wave: _Wave) -> Events:
        """Name tasks overdue that run longer than the median allows, each when it does."""
        yield wave.nearly
        limit = self._executors.speculation_multiplier * median(wave.taken)
        named: set[int] = set()
        while not wave.ended.triggered:
            now = self._clock.now
            alone = [(one[0].began, task) for task, one in wave.running.items() if len(one) == 1 and task not in named]
            overdue = [task for began, task in sorted(alone) if began + limit <= now]
            named.update(overdue)
            wave.overdue.extend(overdue)
            wave.wake(len(overdue))
            later = min((began + limit for began, _ in alone if began + limit > now), default=now + limit)
            yield self._clock.any_of([wave.ended, self._clock.timeout(max(0.0, min(later, now + limit) - now))])

    def _attempt(self, wave: _Wave, place: int, task: int) -> Events:
        settings, clock = self._executors, self._clock
        slow = settings.straggler_factor if self._draw.random() < settings.straggler_share else 1.0
        needed = wave.tasks[task] * slow / settings.speeds[place] + self._work.overhead
        rate = settings.failures_per_hour / 3_600
        left = self._draw.expovariate(rate) if rate else float("inf")
        mine = _Attempt(place, clock.now, clock.event())
        attempts = wave.running.setdefault(task, [])
        self._copies += len(attempts)
        attempts.append(mine)
        yield clock.any_of([clock.timeout(min(needed, left)), mine.cancelled])
        if mine.cancelled.triggered:  # another copy was first
            self._wasted += clock.now - mine.began
        elif left < needed:
            self._fail(wave, task, mine)
            yield clock.timeout(settings.restart)
        else:
            self._finish(wave, task, mine)

    def _fail(self, wave: _Wave, task: int, mine: _Attempt) -> None:
        self._failures += 1
        self._wasted += self._clock.now - mine.began
        self._ready[mine.executor] = self._clock.now + self._executors.restart
        wave.running[task].remove(mine)
        if not wave.running[task]:
            wave.waiting.append(task)
            wave.wake(1)

    def _finish(self, wave: _Wave, task: int, mine: _Attempt) -> None:
        taken = self._clock.now - mine.began
        self._busy += taken
        wave.taken.append(taken)
        for other in wave.running.pop(task):
            if other is not mine:
                other.cancelled.succeed()
        if len(wave.taken) >= self._executors.speculation_quantile * len(wave.tasks) and not wave.nearly.triggered:
            wave.nearly.succeed()
        if len(wave.taken) == len(wave.tasks):
            wave.ended.succeed()
            wave.wake(len(wave.idle))
