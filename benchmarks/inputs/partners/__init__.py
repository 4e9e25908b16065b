"""Partners that only benchmarks have: public sets whose columns are none of ours."""
