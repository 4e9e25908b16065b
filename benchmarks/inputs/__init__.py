"""What benchmarks measure on: texts of real listings where the machine has some, and students with random weights."""
