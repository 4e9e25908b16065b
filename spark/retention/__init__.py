"""What may be dropped, what may not because something live refers to it, and dropping it."""
