"""Keeps the libraries' own bars and hints off the terminal, where our one line must be found."""

import warnings


def quiet_libraries() -> None:
    """Silence the bars, hints and warnings of transformers and diffusers in this process."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    for logging in (diffusers_logging, transformers_logging):
        logging.set_verbosity_error()
        logging.disable_progress_bar()
    warnings.simplefilter("ignore")
