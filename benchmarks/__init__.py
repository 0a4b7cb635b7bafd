"""Benchmarks: one command each, one table, peers in the same run."""
