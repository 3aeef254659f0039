"""torch is imported when it is asked for, and missed in plain words."""

import subprocess
import sys

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
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.strip() == b"False"


def test_without_torch_the_error_says_what_to_install():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True)
    assert done.stdout.decode().strip() == "TorchDataset needs torch: pip install torch"
