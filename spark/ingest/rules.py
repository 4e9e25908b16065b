"""Every rule that a record must pass, compiled into one array of reasons: one projection, whatever the number of rules.

A rule is a name from schemas.reject and the condition under which a record breaks it. A condition that is NULL does not
break its rule: an absent optional field is never an offence, and absence of a required one has a rule of its own.
"""

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.locales import LANGUAGES, LOCALES
from schemas.reject import MAX_TEXT_CHARACTERS, MAX_TITLE_CHARACTERS


@dataclass(frozen=True)
class Rule:
    """A record is rejected for ``reason`` where ``broken`` is true; ``detail`` is what to show a person."""

    reason: str
    broken: Column
    detail: Column


def listing_rules() -> list[Rule]:
    """The rules for readable, repaired candidates."""
    readable = F.col("unreadable").isNull()
    text_length = F.length(F.concat_ws("", "bullets", "description", F.map_values("attributes")))
    untyped = ~F.array_contains("wrong_types", "title") & ~F.array_contains("wrong_types", "item_id")
    wrong_locale = F.array_contains("wrong_types", "locale")
    return [
        Rule("wrong_type", F.size("wrong_types") > 0, F.array_join("wrong_types", ", ")),
        Rule("missing_item_id", readable & untyped & F.col("item_id").isNull(), F.lit("item_id is absent or empty")),
        Rule("missing_locale", readable & ~wrong_locale & F.col("locale").isNull(), F.lit("locale is absent or empty")),
        Rule("unknown_locale", ~F.col("locale").isin(*LOCALES), F.col("locale")),
        Rule("unknown_language", ~F.col("language").isin(*LANGUAGES), F.col("language")),
        Rule("missing_title", readable & untyped & F.col("title").isNull(), F.lit("title is absent or empty")),
        Rule("title_too_long", F.length("title") > MAX_TITLE_CHARACTERS, _characters(F.length("title"))),
        Rule("text_too_long", text_length > MAX_TEXT_CHARACTERS, _characters(text_length)),
        Rule(
            "invalid_updated_at",
            F.col("updated_at").isNotNull() & F.col("updated_at").try_cast("timestamp").isNull(),
            F.col("updated_at"),
        ),
    ]


def judge_candidates(df: DataFrame) -> DataFrame:
    """Adds ``reasons`` (empty for a good record) and ``detail``."""
    rules = listing_rules()
    broken = [F.coalesce(rule.broken, F.lit(False)) for rule in rules]
    reasons = [F.when(hit, rule.reason) for hit, rule in zip(broken, rules, strict=True)]
    details = [
        F.when(hit, F.concat(F.lit(f"{rule.reason}: "), F.left(rule.detail, F.lit(200))))
        for hit, rule in zip(broken, rules, strict=True)
    ]
    return df.withColumn("reasons", F.array_compact(F.array(F.col("unreadable"), *reasons))).withColumn(
        "detail", F.nullif(F.concat_ws("; ", *details), F.lit(""))
    )


def _characters(length: Column) -> Column:
    return F.concat(length.cast("string"), F.lit(" characters"))
