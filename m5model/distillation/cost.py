"""Judges what a student costs: bytes, milliseconds of a short and of a long text beside its teachers', tokens per language."""

import numpy as np

from m5model.data.token_rows import TokenRows
from m5model.distillation.latency import LONG, SHORT, measure_latency
from m5model.distillation.subject import Subject
from m5model.distillation.thresholds import Cost
from m5model.distillation.verdicts import Verdict, judged
from schemas.bundle import ONNX_INT8_FILE

FEWEST_TEXTS = 24


def judge_cost(subject: Subject, thresholds: Cost) -> tuple[Verdict, ...]:
    """``int8_mb``, ``ms_at_N_tokens``, ``times_quicker_at_N_tokens`` than the teachers, and per language
    ``truncated_share_LANGUAGE`` and ``token_premium_LANGUAGE``."""
    size = (subject.folder / ONNX_INT8_FILE).stat().st_size / 1e6
    verdicts = [judged("int8_mb", size, "at most", thresholds.max_int8_mb, "model_int8.onnx", "cost.max_int8_mb")]
    for tokens in (SHORT, LONG):
        if tokens <= subject.max_tokens:
            verdicts += _judge_latency(subject, thresholds, tokens)
    return (*verdicts, *_judge_tokens(subject.held_out, thresholds, subject.max_tokens))


def _judge_latency(subject: Subject, thresholds: Cost, tokens: int) -> list[Verdict]:
    """In one interleaved run."""
    size = subject.tokenizer.get_vocab_size()
    found = measure_latency(subject.folder, subject.teachers.opened, tokens, size)
    where = f"one text, one thread, median of {found.rounds} calls in turns, this machine"
    limit = thresholds.limit(f"max_ms_at_{tokens}_tokens")
    verdicts = [judged(f"ms_at_{tokens}_tokens", found.student_ms, "at most", limit.threshold, where, limit.setting)]
    if found.teacher_ms is not None and found.times_quicker is not None:
        ratio = thresholds.limit(f"min_times_quicker_at_{tokens}_tokens")
        name = f"times_quicker_at_{tokens}_tokens"
        verdicts += [
            judged(f"ms_at_{tokens}_tokens_teacher", found.teacher_ms, "none", None, f"{where}, fp32 in torch", ""),
            judged(name, found.times_quicker, "at least", ratio.threshold, where, ratio.setting),
        ]
    return verdicts


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
        shares = thresholds.limit_of(name, "max_truncated_share"), thresholds.limit_of(name, "max_token_premium")
        verdicts += [
            judged(f"truncated_share_{name}", cut, "at most", shares[0].threshold, where, shares[0].setting),
            judged(f"token_premium_{name}", premium, "at most", shares[1].threshold, where, shares[1].setting),
        ]
    return verdicts
