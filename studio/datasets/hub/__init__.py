"""Data sets of the Hugging Face hub: brought in file by file, and pushed part by part."""
