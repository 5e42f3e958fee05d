"""The stand-in looks at `save_now` (from May 2026 on) and `sample_now` (from July 2026 on)."""
