"""A page's session on tiny models."""

import pytest

from hallulab.engine.core import Engine
from hallulab.engine.presets import load_preset
from hallulab.ui.session import Session


@pytest.fixture(scope="session")
def session(tiny_preset) -> Session:
    return Session(Engine(load_preset(str(tiny_preset)), device="cpu"))
