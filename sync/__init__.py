"""Documents that merge, the clock that orders them, and where they stand in a list."""
