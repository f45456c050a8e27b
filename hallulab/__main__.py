"""`python -m hallulab COMMAND`."""

import os
import sys

# Threads that wait by spinning starve one another where cores are shared, as on a free Space; threads that sleep at
# once take twice as long over small steps. So they spin for some microseconds (libgomp), or sleep (other runtimes).
# torch reads this when it is imported, which the commands do when they run.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

from hallulab.cli.main import app, main
from hallulab.cli.world import (
    AdaptersOption,
    UnetsOption,
    home_from_environment,
    preset_from_environment,
    truthfulqa_path,
)


@app.command("app")
def start_app(unets: UnetsOption = None, adapters: AdaptersOption = None) -> None:
    """Start the app, as `python app.py` does."""
    preset = preset_from_environment(unets=unets, adapters=adapters)
    from hallulab.ui.app import serve  # the other commands need no web server

    serve(preset, truthfulqa=truthfulqa_path(), home=home_from_environment())


if __name__ == "__main__":
    sys.exit(main())
