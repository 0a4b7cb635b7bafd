"""What all optimizers share: the loop over leaves, the moments they keep, chains, wrapped optimizers."""
