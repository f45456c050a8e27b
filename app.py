"""Starts the hallulab app: `python app.py`."""

import os

# Threads that wait by spinning starve one another where cores are shared, as on a free Space. torch reads this
# when it is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from hallulab.ui.app import serve

if __name__ == "__main__":
    serve()
