"""``python -m haversack`` is the command line."""

from haversack.cli import main

main()
