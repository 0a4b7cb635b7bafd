"""Transforms of gradients and updates, for `chain`: clipping, decay, noise, averages of what passes."""
