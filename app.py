"""Starts the hallulab app: `python app.py`."""

import sys

from hallulab.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["app"]))
