"""Floor 5: a small believable hub made on the spot, for the demo, the docs and the tests."""

from haversack.demo.hub import make_hub
from haversack.demo.show import run

__all__ = ["make_hub", "run"]
