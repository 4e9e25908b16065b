"""Our training loop against transformers.Trainer on the same model and data, and how much of a GPU it uses.

    python benchmarks/training_throughput.py [--preset tiny] [--rows 2000] [--steps 20] [--rounds 3]

Masked language modelling of one geometry with one vocabulary on the sample catalogue's listings, one thread, fp32, AdamW, the
same number of rows a step on average. Trainer has DistilBertForMaskedLM and its own collator, once with its defaults and once
with batches of like length. Rounds are interleaved; what counts is tokens a second without padding, the median over rounds.

    to_hf_trainer           ours / Trainer with its defaults
    to_hf_trainer_grouped   ours / Trainer with batches of like length
    model_flops_utilisation of teacher-500m in bfloat16 on a GPU; null, with the reason, where there is none

Trainer needs accelerate (in m5[dev]); without it the ratios are null. The last line of stdout is one JSON object.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from inputs.labelled import write_sets
from inputs.utilisation import measure_utilisation
from transformers import (
    DataCollatorForLanguageModeling,
    DistilBertForMaskedLM,
    PreTrainedTokenizerFast,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from m5model.data.set_versions import find_training_set
from m5model.data.token_rows import TokenRows, tokenize_rows
from m5model.data.training_sets import open_training_set
from m5model.data.vocabulary import SPECIAL_TOKENS, train_vocabulary
from m5model.encoders.bert import build_encoder, layout_config
from m5model.encoders.presets import EncoderPreset, get_preset
from m5model.tasks import TaskData, mlm
from m5model.training.config import TrainingConfig
from m5model.training.learner import Learner
from m5model.training.loop import Run, train
from m5model.training.mixture import Mixture, mix
from schemas.workspace import Workspace

WARM_STEPS = 2  # of Trainer, before its clock starts; ours is warmed by a run of so many steps
RATE = 1e-3
TARGET = 1.3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=("tiny", "mini", "student-70m"), default="tiny")
    parser.add_argument("--rows", type=int, default=2_000, help="of the sample catalogue (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=20, help="of each round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--token-budget", type=int, default=2_048, help="tokens a step of ours (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    if find_spec("accelerate") is None:
        missing = {"to_hf_trainer": None, "reason": "transformers.Trainer needs accelerate: pip install 'm5[dev]'"}
        print(json.dumps({"benchmark": "training_throughput", **missing, **measure_utilisation("teacher-500m")}))
        return 0
    torch.set_num_threads(arguments.threads)
    preset = get_preset(arguments.preset)
    with tempfile.TemporaryDirectory(prefix="m5-throughput-") as folder:
        rows, tokenizer = _read(Path(folder), arguments.rows, preset)
        mixture = _mixture(rows, preset, tokenizer, arguments.token_budget)[1]
        batch_rows = round(statistics.mean(len(mixture.batch(step).rows) for step in range(200)))
        runs: dict[str, Callable[[], float]] = {
            "ours": lambda: _ours(rows, preset, tokenizer, arguments.token_budget, arguments.steps),
            "hf_trainer": lambda: _theirs(folder, rows, preset, tokenizer, batch_rows, arguments.steps, "random"),
            "hf_trainer_grouped": lambda: _theirs(
                folder, rows, preset, tokenizer, batch_rows, arguments.steps, "group_by_length"
            ),
        }
        rates: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(arguments.rounds):
            for name, run in runs.items():
                rates[name].append(run())
    medians = {name: statistics.median(values) for name, values in rates.items()}
    result = {
        "benchmark": "training_throughput",
        **vars(arguments),
        "batch_rows": batch_rows,
        "tokens_per_second": {name: round(value) for name, value in medians.items()},
        "to_hf_trainer": _ratio(rates, "hf_trainer"),
        "to_hf_trainer_grouped": _ratio(rates, "hf_trainer_grouped"),
        "target": TARGET,
        **measure_utilisation("teacher-500m"),
    }
    print(json.dumps(result))
    return 0 if result["to_hf_trainer"] >= TARGET else 1


def _ratio(rates: dict[str, list[float]], name: str) -> float:
    """The median over rounds of the ratio within a round."""
    return round(statistics.median(ours / theirs for ours, theirs in zip(rates["ours"], rates[name], strict=True)), 2)


def _read(folder: Path, count: int, preset: EncoderPreset) -> tuple[TokenRows, Any]:
    """The rows to learn from, and their vocabulary."""
    workspace = Workspace(str(folder / "workspace"))
    write_sets(workspace, count)
    training_set = open_training_set(find_training_set(workspace, None))
    tokenizer = train_vocabulary(training_set.learn["text"], preset.vocabulary_size)
    return tokenize_rows(training_set.learn, tokenizer, preset.max_tokens), tokenizer


def _mixture(rows: TokenRows, preset: EncoderPreset, tokenizer: Any, token_budget: int) -> tuple[Learner, Mixture]:
    encoder = build_encoder(preset, tokenizer.get_vocab_size(), seed=1)
    task = mlm.build(mlm.Settings(token_budget=token_budget), encoder, TaskData(learn=rows, held_out=rows, seed=0))
    return Learner(encoder, [task]), mix([(task, 1)], "c", 0)


def _ours(rows: TokenRows, preset: EncoderPreset, tokenizer: Any, token_budget: int, steps: int) -> float:
    """Tokens a second, without padding."""
    learner, mixture = _mixture(rows, preset, tokenizer, token_budget)
    train(Run(label="warm", learner=learner, mixture=mixture, config=TrainingConfig(steps=WARM_STEPS, learning_rate=RATE)))
    tokens = sum(int(rows.lengths[mixture.batch(step).rows].sum()) for step in range(steps))
    started = time.perf_counter()
    train(Run(label="ours", learner=learner, mixture=mixture, config=TrainingConfig(steps=steps, learning_rate=RATE)))
    return tokens / (time.perf_counter() - started)


class _Clock(TrainerCallback):
    """When the steps after the warm ones began and ended."""

    started = ended = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == WARM_STEPS:
            self.started = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.ended = time.perf_counter()


class _Counted:
    """A collator that counts the tokens of each batch, without padding."""

    def __init__(self, collate: DataCollatorForLanguageModeling) -> None:
        self._collate = collate
        self.tokens: list[int] = []

    def __call__(self, rows: list[dict[str, Any]]) -> Any:
        self.tokens.append(sum(len(row["input_ids"]) for row in rows))
        return self._collate(rows)


def _theirs(
    folder: str, rows: TokenRows, preset: EncoderPreset, tokenizer: Any, batch_rows: int, steps: int, sampling: str
) -> float:
    """The same of Trainer."""
    torch.manual_seed(1)
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL_TOKENS, strict=True))
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)
    config = layout_config(preset, tokenizer.get_vocab_size())
    config.tie_word_embeddings = True  # as our head has the word embeddings for its last matrix
    settings = TrainingArguments(
        output_dir=f"{folder}/hf",
        per_device_train_batch_size=batch_rows,
        max_steps=steps + WARM_STEPS,
        learning_rate=RATE,
        weight_decay=0.01,
        max_grad_norm=1.0,
        optim="adamw_torch",
        train_sampling_strategy=sampling,
        logging_strategy="no",
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=False,
    )
    clock, collate = _Clock(), _Counted(DataCollatorForLanguageModeling(fast, mlm_probability=0.15))
    data = rows.dataset.select_columns(["ids"]).rename_column("ids", "input_ids")
    trainer = Trainer(
        model=DistilBertForMaskedLM(config), args=settings, train_dataset=data, data_collator=collate, callbacks=[clock]
    )
    trainer.train()
    tokens = int(np.sum(collate.tokens[WARM_STEPS : WARM_STEPS + steps]))
    return tokens / (clock.ended - clock.started)


if __name__ == "__main__":
    sys.exit(main())
