"""Feature views as readers see them: versions, profiles, differences, rollback. On delta-rs and pyarrow, without Spark."""
