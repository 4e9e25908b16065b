import pyarrow as pa
import pytest

from schemas.labels import LABEL_KINDS, PAIRS, SPLITS, LabelKind

KINDS = pytest.mark.parametrize("kind", LABEL_KINDS.values(), ids=LABEL_KINDS)


def test_there_are_the_six_kinds_of_the_design() -> None:
    assert list(LABEL_KINDS) == ["pairs", "classes", "attributes", "relevance", "clicks", "sessions"]


@KINDS
def test_every_column_says_what_it_means_and_names_are_different(kind: LabelKind) -> None:
    assert all(column.meaning for column in kind.table.columns)
    assert len(set(kind.table.column_names)) == len(kind.table.columns)


@KINDS
def test_every_row_has_a_split_and_the_entities_that_it_was_drawn_by(kind: LabelKind) -> None:
    nullable = {column.name: column.nullable for column in kind.table.columns}
    assert not any(nullable[name] for name in (*kind.entities, "split"))
    assert set(SPLITS) == {"learn", "validate", "test"}


@KINDS
def test_key_entities_and_targets_are_columns(kind: LabelKind) -> None:
    assert {*kind.table.key, *kind.entities, *kind.targets} <= set(kind.table.column_names)
    assert kind.targets


@KINDS
def test_a_listing_is_named_by_key_or_by_text_so_both_may_be_null(kind: LabelKind) -> None:
    nullable = {column.name: column.nullable for column in kind.table.columns}
    for prefix in ("left_", "right_") if kind is PAIRS else ("",):
        assert nullable[f"{prefix}locale"] and nullable[f"{prefix}item_id"] and nullable[f"{prefix}text"]


@KINDS
def test_a_table_of_a_kind_can_be_made(kind: LabelKind) -> None:
    assert pa.Table.from_pylist([], schema=kind.table.arrow_schema()).column_names == list(kind.table.column_names)
