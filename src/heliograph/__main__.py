"""`python -m heliograph`: the command line."""

import os
import sys

if __name__ == "__main__":
    if not sys.flags.safe_path and sys.path[0] == os.getcwd():
        del sys.path[0]  # Python puts it there for -m: what lies where one is would be taken for packages
    from heliograph.cli import main

    sys.exit(main())
