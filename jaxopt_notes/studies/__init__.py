"""Studies: reproducible experiments, one a file. Each is a function that returns its numbers."""

__all__: list[str] = []
