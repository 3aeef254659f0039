"""Bulk builds: many items at once, in order, by one or many workers, resumed where one was killed.

The items are cut into runs of a fixed count. A run becomes chunks of its own, so that workers need
not know of each other, and what they write does not depend on how many they are.
"""

from haversack.packed.build.blocks import Skipped
from haversack.packed.build.pack import pack

__all__ = ["Skipped", "pack"]
