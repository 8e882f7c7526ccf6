"""`python -m tinygrad_edu.testing zoo`: the exercises of the bug zoo on the command line."""

import sys

from .zoo.cli import main

if __name__ == "__main__":
    sys.exit(main())
