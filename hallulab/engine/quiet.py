"""Keeps the libraries' own bars and hints off the terminal, where our one line must be found."""

import warnings


def quiet_libraries() -> None:
    """Silence the bars, hints and warnings of transformers in this process; diffusers follows when it loads."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    warnings.simplefilter("ignore")
