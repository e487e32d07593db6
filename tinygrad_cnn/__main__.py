"""`python -m tinygrad_cnn` is the command `tinygrad-cnn`."""

import sys

from tinygrad_cnn.cli import main

if __name__ == "__main__":
    sys.exit(main())
