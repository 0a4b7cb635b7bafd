"""Solvers for losses without noise: Newton and its relatives, line searches, proximal and projected steps."""
