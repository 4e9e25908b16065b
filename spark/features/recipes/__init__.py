"""Feature views, one file each: its declaration for partners (VIEW) and how it is made (RECIPE)."""
