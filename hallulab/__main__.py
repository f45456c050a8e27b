"""`python -m hallulab COMMAND`."""

import os
import sys

# Threads that wait by spinning starve one another where cores are shared, as on a free Space. torch reads this
# when it is imported, which the commands do when they run.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from hallulab.cli.main import app, main


@app.command("app")
def start_app() -> None:
    """Start the app, as `python app.py` does."""
    from hallulab.ui.app import serve  # the other commands need no web server

    serve()


if __name__ == "__main__":
    sys.exit(main())
