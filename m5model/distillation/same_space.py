"""Measures whether vectors of queries by a small student may be compared with vectors of documents by a larger one.

Both were taught the same vectors (m5model.distillation.targets). Here: the cosine of both vectors of a text; how many of the
ten documents nearest to a text by the documents' own vectors are not among the ten nearest to its query vector; and, on
labelled pairs, how much recall at 10 the small one loses. All with intervals, overall and per language. Tensor suffixes: N
texts, D dimensions.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from m5model.bundles.find import open_bundle
from m5model.data.training_sets import render_again
from m5model.data.vocabulary import load_vocabulary
from m5model.distillation.gaps import judge_gap
from m5model.distillation.labelled_pairs import FEWEST, NEIGHBOURS, Matches, OpenLabels, PairTexts, chosen_pairs, texts_read
from m5model.distillation.student_graph import graph_vectors
from m5model.distillation.subject import Subject, token_ids
from m5model.distillation.thresholds import Limit, SameSpaceLimits
from m5model.distillation.verdicts import Verdict, judged
from m5model.gates.intervals import bootstrap
from m5model.runtime.rendering import Rendering
from schemas.bundle import BundleManifest
from schemas.space import SameSpace

TEXTS = 1_024  # held-out texts, each a document and a query
FEWEST_TEXTS = 24


@dataclass(frozen=True, kw_only=True)
class Documents:
    """The bundle that gives the vectors of documents, opened."""

    folder: Path
    manifest: BundleManifest
    tokenizer: Tokenizer

    @property
    def rendering(self) -> Rendering:
        return Rendering.from_json(self.manifest.rendering)

    @property
    def evidence(self) -> SameSpace:
        return SameSpace(bundle=self.manifest.id, space_id=self.manifest.space_id)

    def vectors(self, texts: list[str]) -> np.ndarray:
        """Unit vectors (N, D) float32 of its int8 graph."""
        return graph_vectors(self.folder, token_ids(texts, self.tokenizer, self.manifest.max_tokens))


def open_documents(path: str) -> Documents:
    """Every byte is checked."""
    folder, manifest = open_bundle(path)
    return Documents(folder=folder, manifest=manifest, tokenizer=load_vocabulary(folder))


def judge_same_space(
    subject: Subject, documents: Documents, limits: SameSpaceLimits, labelled: OpenLabels | None
) -> tuple[Verdict, ...]:
    """``same_space_cosine``, ``same_space_neighbours_lost``, and on pairs ``same_space_recall_at_10_gap``."""
    training_set = subject.teachers.training_set
    held_out = training_set.held_out.select(range(min(TEXTS, len(training_set.held_out))))  # in the order of their keys
    read = render_again(training_set, documents.rendering).held_out.select(range(len(held_out)))
    query_ND, document_ND = subject.student_vectors(held_out["text"][:]), documents.vectors(read["text"][:])
    verdicts = judge_texts(query_ND, document_ND, np.asarray(held_out["language"][:]), limits)
    return verdicts if labelled is None else (*verdicts, *_judge_recall(subject, documents, labelled, limits))


def judge_texts(
    query_ND: np.ndarray, document_ND: np.ndarray, language: np.ndarray, limits: SameSpaceLimits
) -> tuple[Verdict, ...]:
    """The verdicts on texts of which both vectors are given."""
    cosine_N = (query_ND * document_ND).sum(axis=1)
    lost_N = neighbours_lost(query_ND, document_ND)
    verdicts: list[Verdict] = []
    for name, rows in _groups(language):
        where = f"{len(rows):,} held-out texts among {len(document_ND):,}"
        least, most = limits.of(name, "min_cosine"), limits.of(name, "max_neighbours_lost")
        verdicts += [
            _judge_mean("same_space_cosine", cosine_N, name, rows, least, where),
            _judge_mean("same_space_neighbours_lost", lost_N, name, rows, most, where),
        ]
    return tuple(verdicts)


def neighbours_lost(query_ND: np.ndarray, document_ND: np.ndarray) -> np.ndarray:
    """(N,) the share of the documents nearest to each text that its query vector does not find; the text itself left out."""
    count = min(NEIGHBOURS, len(document_ND) - 1)
    expected, found = (_nearest(vectors_ND @ document_ND.T, count) for vectors_ND in (document_ND, query_ND))
    kept = [len(set(first) & set(second)) for first, second in zip(expected.tolist(), found.tolist(), strict=True)]
    return 1 - np.asarray(kept) / count


def _nearest(cosines_NN: np.ndarray, count: int) -> np.ndarray:
    np.fill_diagonal(cosines_NN, -np.inf)
    return np.argsort(-cosines_NN, axis=1, kind="stable")[:, :count]


def _groups(language: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """All rows, named by no language; then those of each language with enough of them."""
    yield "", np.arange(len(language))
    for name in sorted(set(language)):
        rows = np.flatnonzero(language == name)
        if len(rows) >= FEWEST_TEXTS:
            yield name, rows


def _judge_mean(name: str, values_N: np.ndarray, language: str, rows: np.ndarray, limit: Limit, where: str) -> Verdict:
    mean: Callable[[np.ndarray], float] = lambda drawn: float(values_N[rows][drawn].mean())  # noqa: E731
    found = bootstrap(mean, np.arange(len(rows)))
    bound = "at least" if "min_" in limit.setting else "at most"
    figure = f"{name}_{language}" if language else name
    return judged(figure, found, bound, limit.threshold, where, limit.setting)  # type: ignore[arg-type]


def _judge_recall(subject: Subject, documents: Documents, labelled: OpenLabels, limits: SameSpaceLimits) -> tuple[Verdict, ...]:
    """Left sides ask, all texts are documents: recall of queries by the documents' bundle against queries by the small one."""
    labels = labelled(subject.teachers.training_set.rendering)
    rows = chosen_pairs(labels)
    texts = PairTexts.of(rows)
    matches = Matches.of(rows, texts)
    if len(matches.query) < FEWEST:
        return ()
    document_ND = documents.vectors(texts_read(rows, chosen_pairs(labelled(documents.rendering))))
    small = (subject.student_vectors(texts.texts), document_ND)
    compared = matches.compare("same_space", "documents", small, (document_ND, document_ND), labels.name)
    return judge_gap(compared, limits.limit("max_recall_gap"), limits, "max_language_recall_gap")
