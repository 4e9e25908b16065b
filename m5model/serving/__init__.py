"""``m5 serve``: vectors of queries over HTTP, in milliseconds. The extra ``m5[serve]``; no torch."""
