"""The page opens soon: the libraries of the models are imported when a model is first asked for."""

import subprocess
import sys


def test_the_page_is_made_without_the_libraries_of_its_models():
    code = (
        "import sys; from hallulab.engine.quiet import quiet_libraries; quiet_libraries(); "
        "import hallulab.ui.app; "
        "heavy = {'diffusers', 'peft', 'open_clip', 'torch._dynamo', 'datasets', 'trl'} & sys.modules.keys(); "
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert (found.returncode, found.stderr) == (0, "")
