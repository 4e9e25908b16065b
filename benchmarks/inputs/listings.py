"""Texts of listings: a folder of Parquet catalogues where there is one, else the sample catalogue's feeds."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from m5model.runtime.rendering import render

REAL_CATALOGUE = Path(os.environ.get("M5_REAL_CATALOGUE") or Path(__file__).parents[3] / "shared" / "data" / "catalogue")


def read_texts(rows: int, seed: int = 0) -> tuple[list[str], str]:
    """``rows`` rendered listings, drawn at random, and where they are from ("real" or "sample")."""
    origin = "real" if list(REAL_CATALOGUE.glob("*.parquet")) else "sample"
    texts = _real_texts() if origin == "real" else sample_texts(rows)
    chosen = np.random.default_rng(seed).choice(len(texts), size=rows, replace=rows > len(texts))
    return [texts[i] for i in chosen], origin


def _real_texts() -> list[str]:
    files = sorted(REAL_CATALOGUE.glob("*.parquet"))
    return [render(row) for file in files for row in pq.read_table(file).to_pylist()]


def sample_texts(rows: int) -> list[str]:
    from jobs.make_sample_catalog import main as make_sample_catalog

    with tempfile.TemporaryDirectory() as folder:
        make_sample_catalog(["--out", folder, "--rows", str(rows)])
        files = sorted((Path(folder) / "feeds").glob("*.parquet"))
        return [render(row) for file in files for row in pq.read_table(file).to_pylist() if row.get("title")]
