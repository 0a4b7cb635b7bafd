"""`python -m jaxopt_notes`: the command line."""

import sys

from jaxopt_notes.cli import main

if __name__ == "__main__":
    sys.exit(main())
