"""Web: the results store in a browser, read-only."""
