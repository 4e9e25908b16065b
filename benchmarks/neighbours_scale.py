"""The neighbour search of the feature views on a million vectors, beside faiss's: recall, seconds, memory, growth.

    pip install faiss-cpu==1.15.1        (not a dependency; without it, ours alone)
    python benchmarks/neighbours_scale.py [--rows 100000 --rows 1000000] [--queries 500]

Vectors of 384 dimensions in 15 locales of unequal size, a mixture around the vectors that a bundle gave real texts. Each size
is written to a table first. Then the search of a publication runs over the table: cells are trained, and every listing's ten
nearest others are written as Parquet. faiss searches each locale in an IVF of as many cells, by as many probes, on as many
cores. Recall is counted on a sample of listings, against all vectors of their locale. The last line of stdout is one JSON
object.
"""

import argparse
import importlib.util
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from inputs.process_tree import resident_mb_of_tree
from pyspark.sql import SparkSession

from m5model.training.progress import say
from spark.neighbours import NeighbourSettings, SpaceRows, find_neighbours
from spark.setup.session import build_session
from spark.vectors.columns import Vectors, to_unit_length, vectors_to_lists

DIMENSIONS, NEIGHBOURS, LOCALES, SPACE = 384, 10, 15, "mixture"
RECORDED = Path(__file__).parent / "recorded_vectors" / "vectors.json"
NOISE = 0.6  # of a vector around its centre, as a share of the centre's length
ROWS_OF_A_CENTRE = 40
WRITE_ROWS = 50_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, action="append", help="vectors, repeatable (default: 100000 and 1000000)")
    parser.add_argument("--queries", type=int, default=500, help="listings whose recall is counted (default: %(default)s)")
    arguments = parser.parse_args()
    sizes = arguments.rows or [100_000, 1_000_000]
    cores = len(os.sched_getaffinity(0))
    spark = build_session("neighbours_scale")
    with tempfile.TemporaryDirectory() as scratch:
        measured = [measure(spark, Path(scratch) / str(rows), rows, arguments.queries, cores) for rows in sizes]
    spark.stop()
    figures: dict[str, Any] = {"benchmark": "neighbours_scale", "dimensions": DIMENSIONS, "cores": cores, "sizes": measured}
    if len(measured) > 1:
        figures["growth"] = round(measured[-1]["ours"]["seconds"] / measured[0]["ours"]["seconds"], 2)
        figures["growth_of_rows"] = round(sizes[-1] / sizes[0], 2)
    print(json.dumps(figures))
    return 0


def measure(spark: SparkSession, folder: Path, rows: int, queries: int, cores: int) -> dict[str, Any]:
    folder.mkdir()
    counts = locale_rows(rows)
    write_table(folder / "vectors", counts)
    say(f"{rows} vectors written")
    sample = draw_sample(counts, queries)
    truth = {locale: exact(folder / "vectors", locale, places) for locale, places in sample.items()}
    found: dict[str, Any] = {"rows": rows, "ours": measure_ours(spark, folder, counts, sample, truth)}
    if importlib.util.find_spec("faiss"):
        found["faiss"] = measure_faiss(folder / "vectors", counts, sample, truth, cores)
    say(json.dumps(found))
    return found


def locale_rows(rows: int) -> dict[str, int]:
    """The largest locale has some fifteen times the rows of the smallest, as store fronts do."""
    weights = 1 / np.arange(1, LOCALES + 1)
    return {f"L{number:02}": int(rows * weight / weights.sum()) for number, weight in enumerate(weights)}


def write_table(folder: Path, counts: dict[str, int]) -> None:
    folder.mkdir()
    for locale, count in counts.items():
        for start, vectors in draw(locale, count):
            ids = [f"{place:08}" for place in range(start, start + len(vectors))]
            columns = {"locale": [locale] * len(ids), "item_id": ids, "space_id": [SPACE] * len(ids)}
            table = pa.table(columns | {"vector": vectors_to_lists(vectors)})
            pq.write_table(table, folder / f"{locale}-{start:08}.parquet", use_dictionary=["locale", "space_id"])


def draw(locale: str, count: int) -> Iterator[tuple[int, Vectors]]:
    """Unit vectors in pieces: centres are made of pairs of recorded vectors, so that there are enough of them."""
    rng = np.random.default_rng([int(locale[1:]), count])
    recorded = read_recorded()
    pairs = rng.integers(len(recorded), size=(max(1, count // ROWS_OF_A_CENTRE), 2))
    spread = 0.5 * rng.normal(size=(len(pairs), DIMENSIONS)) / DIMENSIONS**0.5
    centres = to_unit_length(recorded[pairs[:, 0]] + recorded[pairs[:, 1]] + spread).astype(np.float32)
    for start in range(0, count, WRITE_ROWS):
        chosen = centres[rng.integers(len(centres), size=min(WRITE_ROWS, count - start))]
        noise = rng.normal(size=chosen.shape) * (NOISE / DIMENSIONS**0.5)
        yield start, to_unit_length(chosen + noise).astype(np.float32)


def read_recorded() -> Vectors:
    """Vectors that a bundle gave real texts, turned into DIMENSIONS by a fixed rotation where they are narrower."""
    hexadecimal = json.loads(RECORDED.read_text())["vectors"]
    vectors = np.stack([np.frombuffer(bytes.fromhex(one), "<f4") for one in hexadecimal]).astype(np.float64)
    if vectors.shape[1] != DIMENSIONS:
        rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(DIMENSIONS, vectors.shape[1])))
        vectors = vectors @ rotation.T
    return to_unit_length(vectors).astype(np.float32)


def draw_sample(counts: dict[str, int], queries: int) -> dict[str, np.ndarray]:
    """Positions in each locale, in proportion to its rows."""
    rng, rows = np.random.default_rng(9), sum(counts.values())
    return {locale: rng.choice(count, max(1, queries * count // rows), replace=False) for locale, count in counts.items()}


def read_locale(folder: Path, locale: str) -> Vectors:
    parts = [pq.read_table(file, columns=["vector"])["vector"].combine_chunks() for file in sorted(folder.glob(f"{locale}-*"))]
    return np.concatenate([part.flatten().to_numpy().reshape(-1, DIMENSIONS) for part in parts])


def exact(folder: Path, locale: str, places: np.ndarray) -> np.ndarray:
    vectors = read_locale(folder, locale)
    scores = vectors[places] @ vectors.T
    scores[np.arange(len(places)), places] = -np.inf
    return np.argpartition(-scores, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]


def recall(found: dict[str, np.ndarray], truth: dict[str, np.ndarray]) -> float:
    shares = [
        len(np.intersect1d(mine, true)) / NEIGHBOURS
        for locale in truth
        for mine, true in zip(found[locale], truth[locale], strict=True)
    ]
    return round(float(np.mean(shares)), 4)


def measure_ours(
    spark: SparkSession, folder: Path, counts: dict[str, int], sample: dict[str, np.ndarray], truth: dict[str, np.ndarray]
) -> dict[str, Any]:
    table = spark.read.parquet(str(folder / "vectors"))
    space = SpaceRows(space_id=SPACE, by_locale=counts)

    def work() -> None:
        found = find_neighbours(table, NeighbourSettings(k=NEIGHBOURS), space)
        found.select("locale", "item_id", "neighbour_item_id").write.parquet(str(folder / "ours"))

    figures = watch(work)
    rows = spark.read.parquet(str(folder / "ours"))
    wanted = spark.createDataFrame(
        [(locale, f"{place:08}") for locale, places in sample.items() for place in places.tolist()],
        "locale string, item_id string",
    )
    lists: dict[tuple[str, str], list[int]] = {}
    for row in rows.join(wanted, ["locale", "item_id"]).collect():
        lists.setdefault((row["locale"], row["item_id"]), []).append(int(row["neighbour_item_id"]))
    found = {
        locale: [np.array(lists.get((locale, f"{place:08}"), []), int) for place in places] for locale, places in sample.items()
    }
    return figures | {"recall": recall(found, truth)}  # type: ignore[arg-type]


def measure_faiss(
    folder: Path, counts: dict[str, int], sample: dict[str, np.ndarray], truth: dict[str, np.ndarray], cores: int
) -> dict[str, Any]:
    import faiss

    faiss.omp_set_num_threads(cores)
    settings, found = NeighbourSettings(), {}

    def work() -> None:
        for locale, count in counts.items():
            vectors = read_locale(folder, locale)
            cells = settings.cells_for(count)
            index = faiss.IndexIVFFlat(faiss.IndexFlatIP(DIMENSIONS), DIMENSIONS, cells, faiss.METRIC_INNER_PRODUCT)
            index.cp.niter, index.cp.max_points_per_centroid = settings.iterations, settings.sample_per_cell
            index.train(vectors)
            index.add(vectors)
            index.nprobe = settings.probes
            _, every = index.search(vectors, NEIGHBOURS + 1)
            places = sample[locale]
            found[locale] = np.array([row[row != place][:NEIGHBOURS] for row, place in zip(every[places], places, strict=True)])

    return watch(work) | {"recall": recall(found, truth)}


def watch(work: Callable[[], None]) -> dict[str, float]:
    """Seconds, and the most resident memory of this process and all below it, beyond what they had before."""
    before, most, ended = resident_mb_of_tree(os.getpid()), 0.0, threading.Event()

    def look() -> None:
        nonlocal most
        while not ended.wait(0.5):
            most = max(most, resident_mb_of_tree(os.getpid()))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    started = time.perf_counter()
    work()
    seconds = time.perf_counter() - started
    ended.set()
    watcher.join()
    return {"seconds": round(seconds, 1), "peak_mb": round(most), "peak_mb_beyond_start": round(most - before)}


if __name__ == "__main__":
    raise SystemExit(main())
