"""Every rule that a record must pass, compiled into one array of reasons: one projection, whatever the number of rules.

A rule is a name from schemas.reject and the condition under which a record breaks it. What NULL does is part of the rule:
    IGNORES_NULL    an absent field cannot break it
    REFUSES_NULL    absence is the offence, unless the field holds a wrong type, which is an offence of its own
Records that could not be read have no fields: only their reason for that counts. Tombstones need no title.
"""

from dataclasses import dataclass
from enum import Enum
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.locales import LANGUAGES, LOCALES
from schemas.reject import MAX_TEXT_CHARACTERS, MAX_TITLE_CHARACTERS
from spark.ingest.candidates import names_of, no_names


class OnNull(Enum):
    """What a rule makes of an absent field."""

    IGNORES_NULL = "ignores"
    REFUSES_NULL = "refuses"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of the rules that have one, in characters."""

    title: int = MAX_TITLE_CHARACTERS
    text: int = MAX_TEXT_CHARACTERS


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A record is rejected for ``reason`` where ``broken`` is true; ``detail`` is what to show a person."""

    reason: str
    on_null: OnNull
    broken: Column
    detail: Column


def listing_rules(limits: Limits) -> list[Rule]:
    """The rules for repaired candidates that have the boolean column ``is_tombstone``."""
    title, text = F.length("title"), F.length(F.concat_ws("", "bullets", "description", F.map_values("attributes")))
    no_instant = F.col("updated_at").isNotNull() & F.col("updated_at").try_cast("timestamp").isNull()
    no_flag = F.coalesce(~F.lower("deleted").isin("true", "false"), F.lit(False))
    wrong = F.array_distinct(F.concat(_wrong_types(), F.when(no_flag, F.array(F.lit("deleted"))).otherwise(no_names())))
    titled = ~F.col("is_tombstone")
    return [
        _ignoring("wrong_type", (F.size("wrong_types") > 0) | no_flag, F.array_join(wrong, ", ")),
        _requiring("item_id"),
        _requiring("locale"),
        _ignoring("unknown_locale", ~F.col("locale").isin(*LOCALES), F.col("locale")),
        _ignoring("unknown_language", ~F.col("language").isin(*LANGUAGES), F.col("language")),
        _requiring("title", where=titled),
        _ignoring("title_too_long", title > limits.title, _characters(title)),
        # No text has more characters than its record has bytes, and those are known without joining anything.
        _ignoring("text_too_long", (F.octet_length("raw") > limits.text) & (text > limits.text), _characters(text)),
        _ignoring("invalid_updated_at", no_instant, F.col("updated_at")),
    ]


def judge_candidates(df: DataFrame, limits: Limits) -> DataFrame:
    """Adds ``is_bad``, ``reasons`` (empty for a good record), ``detail``; ``deleted`` becomes the boolean ``is_tombstone``."""
    df = df.withColumn("is_tombstone", F.coalesce(F.lower("deleted") == "true", F.lit(False)))
    rules = listing_rules(limits)
    offends = reduce(Column.__or__, [F.coalesce(rule.broken, F.lit(False)) for rule in rules], F.col("unreadable").isNotNull())
    # The id is never negative, and no optimiser knows it: else a filter on ``is_bad`` is pushed below the repairs and runs
    # them twice.
    df = df.withColumn("is_bad", offends & (F.monotonically_increasing_id() >= 0))
    # In a function of one element, which Spark interprets: compiled, what only rejects need would make the code of all
    # records longer than the 8,000 bytes up to which the JVM compiles it.
    verdict = F.transform(
        F.array(F.lit(0)), lambda _: F.struct(_reasons(rules).alias("reasons"), _detail(rules).alias("detail"))
    )
    df = df.withColumn("verdict", F.when(F.col("is_bad"), verdict[0]))
    df = df.withColumn("reasons", F.coalesce("verdict.reasons", no_names())).withColumn("detail", F.col("verdict.detail"))
    return df.drop("deleted", "verdict")


def _reasons(rules: list[Rule]) -> Column:
    of_rules = names_of({rule.reason: rule.broken for rule in rules})
    return F.when(F.col("unreadable").isNotNull(), F.array("unreadable")).otherwise(of_rules)


def _detail(rules: list[Rule]) -> Column:
    details = [F.when(rule.broken, F.concat(F.lit(f"{rule.reason}: "), F.left(rule.detail, F.lit(200)))) for rule in rules]
    return F.nullif(F.concat_ws("; ", *details), F.lit(""))


def _ignoring(reason: str, broken: Column, detail: Column) -> Rule:
    return Rule(reason=reason, on_null=OnNull.IGNORES_NULL, broken=broken, detail=detail)


def _requiring(name: str, where: Column | None = None) -> Rule:
    broken = F.col("unreadable").isNull() & F.col(name).isNull() & ~F.array_contains(_wrong_types(), name)
    return Rule(
        reason=f"missing_{name}",
        on_null=OnNull.REFUSES_NULL,
        broken=broken if where is None else broken & where,
        detail=F.lit(f"{name} is absent or empty"),
    )


def _wrong_types() -> Column:
    return F.coalesce("wrong_types", no_names())


def _characters(length: Column) -> Column:
    return F.concat(length.cast("string"), F.lit(" characters"))
