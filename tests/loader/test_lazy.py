"""torch is imported when it is asked for, and missed in plain words."""

from tests.running import run_python

PROGRAM = """
import sys
sys.modules["torch"] = None
import haversack.loader
from haversack.errors import MissingExtraError
try:
    haversack.loader.TorchDataset
except MissingExtraError as error:
    print(error)
"""


def test_importing_the_loader_imports_no_torch():
    program = "import sys, haversack.loader; print('torch' in sys.modules)"
    assert run_python(program) == "False\n"


def test_without_torch_the_error_says_what_to_install():
    assert run_python(PROGRAM) == "TorchDataset needs torch: pip install torch\n"
