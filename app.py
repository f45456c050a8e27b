"""Starts the hallulab app: `python app.py`."""

from hallulab.ui.app import serve

if __name__ == "__main__":
    serve()
