"""Starts the hallulab app: `python app.py`, with the options of `python -m hallulab app`."""

import sys

from hallulab.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["app", *sys.argv[1:]]))
