"""Trainers and workers. Nothing below this package imports studio or gradio."""
