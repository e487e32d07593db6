"""The adapter as one file, which is all that the test client can start."""

import sys

from tinygrad_cnn.cli import main

sys.exit(main(["dap"]))
