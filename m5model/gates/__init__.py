"""Gates: what must hold before anything is released."""
