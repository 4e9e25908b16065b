"""What is broken on purpose, one place each, and the test that must notice."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Break:
    """A text that stands once in a file, what replaces it, and the test that must fail then."""

    name: str  # a sentence
    file: str
    find: str
    replace: str
    test: str


BREAKS = (
    Break(
        name="a rule is gone: unknown locales pass",
        file="spark/ingest/judging/rules.py",
        find='    _one_of("unknown_locale", "locale", LOCALES, explain_locale),\n',
        replace="",
        test="tests/spark/ingest/test_ingest.py::test_bad_records_are_kept_byte_by_byte_with_their_reasons",
    ),
    Break(
        name="a missing title is no fault",
        file="spark/ingest/judging/rules.py",
        find='    _required("title", of_tombstones=False),\n',
        replace="",
        test="tests/spark/ingest/test_ingest.py::test_bad_records_are_kept_byte_by_byte_with_their_reasons",
    ),
    Break(
        name="the content hash leaves bullets out",
        file="spark/ingest/staging/hashing.py",
        find="            parts.append(pc.binary_join(values, ITEM_END))",
        replace="            pass",
        test="tests/spark/ingest/test_ingest_hashing.py::test_a_batch_is_hashed_as_its_records_are",
    ),
    Break(
        name="keys are hashed with another seed than Spark's",
        file="spark/ingest/staging/keys.py",
        find="SPARK_SEED = 42",
        replace="SPARK_SEED = 43",
        test="tests/spark/ingest/test_ingest_hashing.py::test_keys_are_hashed_as_spark_hashes_them",
    ),
    Break(
        name="a late record replaces a newer listing",
        file="spark/ingest/deciding/ranking.py",
        find='        .when(is_older, "superseded")\n        .otherwise("updated")',
        replace='        .otherwise("updated")',
        test="tests/spark/ingest/test_ingest.py::test_a_late_record_does_not_replace_a_newer_listing",
    ),
    Break(
        name="a record as old as its deletion returns",
        file="spark/ingest/deciding/ranking.py",
        find='(_entry_time() <= F.col("deleted_at"))',
        replace='(_entry_time() < F.col("deleted_at"))',
        test="tests/spark/ingest/test_order.py::test_records_and_deletions_of_a_key_give_the_same_in_one_feed_as_one_by_one",
    ),
    Break(
        name="a full feed with unreadable records deletes",
        file="spark/ingest/ingest.py",
        find="find_complete_locales(stage.tally, files) if full else Absence()",
        replace="Absence(locales=tuple(sorted(stage.tally.locales))) if full else Absence()",
        test="tests/spark/ingest/test_ingest_history.py::test_a_full_feed_with_unreadable_records_deletes_nothing_and_says_so",
    ),
    Break(
        name="too many rejects are let through",
        file="spark/ingest/ingest.py",
        find="    if share <= max_reject_share:",
        replace="    if True:",
        test="tests/spark/ingest/test_ingest.py::test_too_many_rejects_leave_listings_as_they_were_and_keep_the_rejects",
    ),
    Break(
        name="an open quote of a CSV takes other rows along",
        file="m5model/feeds/csv_lexer.py",
        find="            elif is_row(line):",
        replace="            elif False:",
        test="tests/m5model/feeds/test_csv.py::test_a_quote_that_does_not_close_takes_no_other_row_along",
    ),
    Break(
        name="line ends are in no account",
        file="m5model/feeds/json_lines.py",
        find="SEPARATORS: ends",
        replace="SEPARATORS: 0",
        test="tests/m5model/feeds/test_splits.py::test_every_line_of_json_is_read_by_one_split",
    ),
    Break(
        name="an array that was cut is taken for whole",
        file="m5model/feeds/json_values.py",
        find="if depth > 0 and not is_cut",
        replace="if False",
        test="tests/m5model/feeds/test_json_values.py::test_damage_ends_before_the_next_object_and_an_array_without_end_was_cut",
    ),
    Break(
        name="a repair is gone: control characters stay",
        file="spark/ingest/cleaning/text_repairs.py",
        find='    ("control_characters", lambda text, _=ALL_LANGUAGES: _control.sub("", text)),\n',
        replace="",
        test="tests/spark/ingest/test_ingest_text_repairs.py::test_each_repair_is_made_and_named",
    ),
    Break(
        name="an upper bound in the log is too low",
        file="spark/ingest/staging/staged_files.py",
        find="text[:BOUND_CHARACTERS] + LAST_CHARACTER",
        replace="text[:BOUND_CHARACTERS]",
        test="tests/spark/ingest/test_ingest.py::test_any_accepted_time_can_be_read_everywhere_and_is_found_by_its_bounds",
    ),
    Break(
        name="a held lease is taken over",
        file="m5model/files/lease.py",
        find="return not self.released and now",
        replace="return False and now",
        test="tests/m5model/files/test_lease.py::test_a_second_run_is_refused_and_told_who_writes",
    ),
    Break(
        name="the lease is not renewed",
        file="m5model/files/lease.py",
        find="while not self._stop.wait(wait):",
        replace="while False:",
        test="tests/m5model/files/test_lease.py::test_a_holder_renews_its_lease",
    ),
    Break(
        name="an account that lost a row passes",
        file="schemas/report.py",
        find="if self.accounted != self.rows_in:",
        replace="if False:",
        test="tests/schemas/test_contracts.py::test_a_lost_row_is_refused_and_a_whole_account_is_not",
    ),
    Break(
        name="a drawn set may break the cap",
        file="spark/sampling/balance.py",
        find="if count - slack > plan.cap * total + TOLERANCE or count",
        replace="if count",
        test="tests/spark/sampling/test_balance.py::test_a_set_that_breaks_the_cap_is_refused",
    ),
    Break(
        name="duplicates are not left out",
        file="spark/sampling/sample.py",
        find="    if not settings.keep_duplicates:\n        labelled",
        replace="    if False:\n        labelled",
        test="tests/spark/sampling/test_sampling.py::test_duplicates_are_left_out_of_the_stock_unless_they_are_to_be_kept",
    ),
    Break(
        name="a changed byte in a training set is not noticed",
        file="m5model/data/training_sets.py",
        find="    if not storage.is_remote(path):\n        verify",
        replace="    if False:\n        verify",
        test="tests/m5model/data/test_training_sets.py::test_a_changed_byte_is_refused_and_the_file_named",
    ),
    Break(
        name="an epoch's order ignores the seed",
        file="m5model/training/order.py",
        find='generator_for("order", self._content_hash, self._seed, epoch)',
        replace='generator_for("order", self._content_hash, epoch)',
        test="tests/m5model/training/test_training_parts.py::test_another_seed_or_another_set_gives_another_order",
    ),
    Break(
        name="special tokens are masked",
        file="m5model/tasks/mlm.py",
        find="maskable_BL = hiding.is_guessable_V[ids_BL] & mask_BL.astype(bool)",
        replace="maskable_BL = mask_BL.astype(bool)",
        test="tests/m5model/training/test_training_parts.py::test_special_tokens_and_padding_are_never_chosen_and_one_other_always_is",
    ),
    Break(
        name="a resumed run forgets its optimiser state",
        file="m5model/training/loop.py",
        find="        parallel.load_optimizer_state(optimizer, restored.optimizer_state)\n",
        replace="        pass\n",
        test="tests/m5model/training/test_training_loop.py::test_a_run_that_was_killed_and_started_again_ends_with_the_bytes_of_an_undisturbed_one",
    ),
    Break(
        name="a missing weight starts from noise",
        file="m5model/encoders/loading.py",
        find='    problems = [f"missing {name}" for name in expected if name not in found]',
        replace="    problems = []",
        test="tests/m5model/encoders/test_bert.py::test_a_missing_weight_is_an_error_that_names_it",
    ),
    Break(
        name="padding is pooled",
        file="m5model/encoders/encoder.py",
        find="    weight_B1L = mask_BL.to(torch.float32).unsqueeze(1)",
        replace="    weight_B1L = torch.ones_like(mask_BL).to(torch.float32).unsqueeze(1)",
        test="tests/m5model/encoders/test_bert.py::test_plain_transformers_opens_a_student_without_a_warning_and_gives_the_runtimes_vectors",
    ),
    Break(
        name="weights use 8 bits",
        file="m5model/export/quantization.py",
        find="        reduce_range=True,\n        activation_type",
        replace="        reduce_range=False,\n        activation_type",
        test="tests/m5model/export/test_export.py::test_weights_are_7_bits_per_channel_and_attention_products_stay_fp32",
    ),
    Break(
        name="a gate lets NaN pass",
        file="m5model/gates/evidence.py",
        find='    "at least": lambda value, threshold: value >= threshold,',
        replace='    "at least": lambda value, threshold: not value < threshold,',
        test="tests/m5model/export/test_export.py::test_every_threshold_refuses_on_its_own_and_so_does_a_figure_that_is_no_number",
    ),
    Break(
        name="the engine's graph may give other bytes",
        file="m5model/export/parity.py",
        find="    if parity.engine_vectors_differing is not None:",
        replace="    if False:",
        test="tests/m5model/export/test_engine_graph.py::test_the_gate_fires_where_the_engines_graph_lost_one_bias",
    ),
    Break(
        name="calls mix lengths",
        file="m5model/runtime/batching.py",
        find="np.flatnonzero(np.diff(token_counts[order])) + 1",
        replace="np.flatnonzero(np.diff(token_counts[order]) < -1) + 1",
        test="tests/m5model/runtime/test_encoder.py::test_every_row_is_in_one_batch_of_texts_as_long_as_itself",
    ),
    Break(
        name="a cut text loses its closing token",
        file="m5model/runtime/tokens.py",
        find="        if len(cut):",
        replace="        if False:",
        test="tests/m5model/runtime/test_encoder.py::test_a_cut_text_keeps_its_closing_token_as_hugging_face_cuts_it",
    ),
    Break(
        name="changed texts are not embedded again",
        file="spark/embedding/pending.py",
        find='present, [*LISTING_KEY, "fingerprint"], "left_anti"',
        replace='present, [*LISTING_KEY], "left_anti"',
        test="tests/spark/embedding/test_embedding.py::test_only_changed_listings_are_embedded_again_and_removed_ones_lose_their_vector",
    ),
    Break(
        name="vectors of removed listings stay",
        file="spark/embedding/embed.py",
        find="        if changes.orphans:",
        replace="        if False:",
        test="tests/spark/embedding/test_embedding.py::test_only_changed_listings_are_embedded_again_and_removed_ones_lose_their_vector",
    ),
    Break(
        name="two spaces are compared",
        file="spark/neighbours/space.py",
        find="    if len(names) > 1:",
        replace="    if False:",
        test="tests/spark/neighbours/test_neighbours.py::test_vectors_of_two_spaces_are_refused_by_an_error_that_names_both",
    ),
    Break(
        name="brand sums depend on the partitioning",
        file="spark/vectors/exact_sums.py",
        find="np.rint(vectors_ND[order_N].astype(np.float64) * FIXED_POINT).astype(np.int64)",
        replace="np.rint(vectors_ND[order_N].astype(np.float64) * FIXED_POINT).astype(np.int64) + len(keys)",
        test="tests/spark/vectors/test_vectors.py::test_sums_are_bit_equal_for_any_partitioning",
    ),
    Break(
        name="what is referred to can be dropped",
        file="spark/retention/plan.py",
        find="    kept = [drop for drop in drops if drop.kept_by]\n    if kept:",
        replace="    kept = [drop for drop in drops if drop.kept_by]\n    if False:",
        test="tests/spark/retention/test_retention.py::test_naming_what_is_referred_to_is_refused_with_the_chain",
    ),
    Break(
        name="a damaged bundle is opened",
        file="m5model/files/checksums.py",
        find='        if found != expected:\n            return f"{file} has SHA-256',
        replace='        if False:\n            return f"{file} has SHA-256',
        test="tests/m5model/bundles/test_publishing.py::test_a_damaged_bundle_is_refused",
    ),
)
