"""Versions of training sets and label sets, and differences, as lines for people."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from m5model.data.set_versions import EXAMPLES, VersionDifference
from schemas.labels import SPLITS, LabelSetManifest
from schemas.training_set import TrainingSetManifest


def manifests_as_lines(manifests: Sequence[TrainingSetManifest | LabelSetManifest]) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(asdict(manifest), ensure_ascii=False) + "\n" for manifest in manifests)


def manifests_as_table(manifests: Sequence[TrainingSetManifest]) -> str:
    """One line a version: rows, plan, where from, and the largest and smallest language."""
    if not manifests:
        return "no training sets; make one with jobs/sample_training_set.py\n"
    lines: list[tuple[str, ...]] = [("version", "made", "rows", "plan", "listings at", "largest", "smallest")]
    for manifest in manifests:
        by_rows = sorted(manifest.rows_by_language.items(), key=lambda entry: (-entry[1], entry[0]))
        ends = [f"{name} {rows / manifest.rows:.1%}" for name, rows in (by_rows[0], by_rows[-1])]
        plan = str(manifest.plan.get("name", "?"))
        name = f"{manifest.name}/{manifest.version}"
        lines.append((name, manifest.created_at[:16], f"{manifest.rows:,}", plan, f"version {manifest.source_version}", *ends))
    return align(lines)


def label_sets_as_table(manifests: Sequence[LabelSetManifest]) -> str:
    """One line a version: kind, rows by split, and how many of the last split's rows name nothing that was learned from."""
    splits = [f"{split} rows" for split in SPLITS]
    lines: list[tuple[str, ...]] = [("label set", "made", "kind", *splits, "unseen in test", "listings at")]
    for manifest in manifests:
        name = f"{manifest.name}/{manifest.version}"
        rows = [f"{manifest.rows_by_split.get(split, 0):,}" for split in SPLITS]
        test = manifest.novelty.get(SPLITS[-1], {})
        unseen = f"{test.get('unseen', 0) / sum(test.values()):.0%}" if sum(test.values()) else "-"
        source = "texts" if manifest.listings_version is None else f"version {manifest.listings_version}"
        lines.append((name, manifest.created_at[:16], manifest.kind, *rows, unseen, source))
    return align(lines)


def align(lines: Sequence[tuple[str, ...]]) -> str:
    """One line a row, columns below each other. The first row is the head."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "".join(line.rstrip() + "\n" for line in padded)


def difference_as_text(found: VersionDifference) -> str:
    """Counts, some keys of each kind, and each language's share before and after."""
    sides = [f"{manifest.name}/{manifest.version} ({manifest.rows:,} rows)" for manifest in (found.old, found.new)]
    lines = [f"{sides[0]} → {sides[1]}", f"  same     {found.same:>10,}"]
    for name, keys in (("added", found.added), ("gone", found.gone), ("changed", found.changed)):
        more = ", …" if len(keys) > EXAMPLES else ""
        lines.append(f"  {name:<8} {len(keys):>10,}   {', '.join(keys[:EXAMPLES])}{more}".rstrip())
    lines.append("share of rows by language")
    lines += [f"  {name}  {old:>7.2%} → {new:>7.2%}" for name, (old, new) in found.shares.items()]
    return "\n".join(lines) + "\n"
