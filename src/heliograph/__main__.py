"""`python -m heliograph`: the command line."""

import sys

from heliograph.cli import main

if __name__ == "__main__":
    sys.exit(main())
