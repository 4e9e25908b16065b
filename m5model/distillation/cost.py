"""Measures what a student costs: bytes, milliseconds of a short and of a long text, and tokens per language.

Tensor suffixes: L tokens.
"""

import statistics
import time
from pathlib import Path

import numpy as np

from m5model.data.token_rows import TokenRows
from m5model.data.vocabulary import SPECIAL_TOKENS
from m5model.distillation.thresholds import Cost
from m5model.distillation.verdicts import Verdict, judged
from m5model.runtime.encoder import open_session, run_graph
from schemas.bundle import ONNX_ENGINE_FILE, ONNX_INT8_FILE

SHORT, LONG = 32, 512  # tokens
CALLS = 9
FEWEST_TEXTS = 24


def judge_cost(
    folder: Path, held_out: TokenRows, thresholds: Cost, max_tokens: int, vocabulary_size: int
) -> tuple[Verdict, ...]:
    """``int8_mb``, ``ms_at_N_tokens``, and per language ``truncated_share_LANGUAGE`` and ``token_premium_LANGUAGE``."""
    size = (folder / ONNX_INT8_FILE).stat().st_size / 1e6
    verdicts = [judged("int8_mb", size, "at most", thresholds.max_int8_mb, "model_int8.onnx", "cost.max_int8_mb")]
    for tokens, threshold in ((SHORT, thresholds.max_ms_at_32_tokens), (LONG, thresholds.max_ms_at_512_tokens)):
        if tokens <= max_tokens:
            taken = measure_milliseconds(folder, tokens, vocabulary_size)
            setting, where = f"cost.max_ms_at_{tokens}_tokens", f"one text, median of {CALLS} calls, this machine"
            verdicts.append(judged(f"ms_at_{tokens}_tokens", taken, "at most", threshold, where, setting))
    return (*verdicts, *_judge_tokens(held_out, thresholds, max_tokens))


def measure_milliseconds(folder: Path, tokens: int, vocabulary_size: int) -> float:
    """Of one text of so many tokens, one thread, in the graph that executors run: the median of some calls."""
    engine = folder / ONNX_ENGINE_FILE
    session = open_session((engine if engine.is_file() else folder / ONNX_INT8_FILE).read_bytes())
    ids_1L = np.random.default_rng(0).integers(len(SPECIAL_TOKENS), vocabulary_size, (1, tokens))
    mask_1L = np.ones_like(ids_1L)
    run_graph(session, ids_1L, mask_1L)
    taken = []
    for _ in range(CALLS):
        began = time.perf_counter()
        run_graph(session, ids_1L, mask_1L)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1e3


def _judge_tokens(held_out: TokenRows, thresholds: Cost, max_tokens: int) -> list[Verdict]:
    if held_out.columns is None:
        return []
    language = np.asarray(held_out.columns["language"][:])
    characters = np.asarray([len(text) for text in held_out.columns["text"][:]])
    whole = held_out.lengths.sum() / max(1, characters.sum())
    verdicts = []
    for name in sorted(set(language)):
        rows = language == name
        if rows.sum() < FEWEST_TEXTS:
            continue
        where = f"{int(rows.sum()):,} held-out texts"
        cut = float((held_out.lengths[rows] >= max_tokens).mean())
        premium = float(held_out.lengths[rows].sum() / max(1, characters[rows].sum()) / whole)
        limits = thresholds.max_truncated_share, thresholds.max_token_premium
        verdicts += [
            judged(f"truncated_share_{name}", cut, "at most", limits[0], where, "cost.max_truncated_share"),
            judged(f"token_premium_{name}", premium, "at most", limits[1], where, "cost.max_token_premium"),
        ]
    return verdicts
