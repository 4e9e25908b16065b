"""Rows of labels: `reading` → `judging` → `entities` → `splitting`; `identity` says what a row is about. No Spark.

Label sets are imported with it (spark/labels), and partners' own files are read with it (m5model/partners).
"""
