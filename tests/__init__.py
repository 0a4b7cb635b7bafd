"""The tests; `python -m tests.rows` reports which rows of the study notes they prove."""
