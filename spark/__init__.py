"""Everything that runs on Spark: tables, ingest, the embedding engine, neighbours and partner features."""
