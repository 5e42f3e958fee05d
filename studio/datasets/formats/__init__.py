"""Data sets as other programs keep them: tables with pictures in them, shards, folders with rules of their own."""
