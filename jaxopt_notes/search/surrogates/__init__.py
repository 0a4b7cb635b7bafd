"""Surrogate models of a score, and what they promise of points not yet tried."""
