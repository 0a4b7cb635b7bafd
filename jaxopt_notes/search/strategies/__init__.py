"""Search strategies, one file each, and what they share. `jaxopt_notes.search` has their public names."""
