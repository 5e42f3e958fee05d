"""What a person touches: data sets, runs, pages, commands. Never imports torch."""
