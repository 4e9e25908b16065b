"""The Spark side of M5: tables, ingest, balancing, training-set versions, the embedding engine, features."""
