"""Wrappers: an optimizer around another one, to average, accumulate, mask, scale or observe it."""
