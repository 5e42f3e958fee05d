"""Starts the command line: `python -m studio --help`."""

from studio.cli.root import main

if __name__ == "__main__":
    main()
