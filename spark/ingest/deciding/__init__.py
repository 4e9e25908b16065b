"""The feed is compared with the tables, and the changes are committed."""
