"""Language-balanced training sets: plan the shares, draw the rows, pin the version."""
