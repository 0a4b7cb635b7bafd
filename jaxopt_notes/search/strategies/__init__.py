"""Search strategies: records with `init`, `ask` and `tell`, one a file."""
