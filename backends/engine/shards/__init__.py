"""Data sets too large for files of their own: WebDataset shards, read in place."""
