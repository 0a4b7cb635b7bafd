"""Search spaces: distributions, choices, conditions, and the unit cube that they are mapped from."""
