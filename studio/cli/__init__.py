"""`python -m studio`: everything that the pages do, without a browser."""
