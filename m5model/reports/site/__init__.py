"""A static site of a workspace: facts gathered without Spark, pages without scripts, and what changed since the last one."""
