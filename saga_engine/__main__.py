"""`python -m saga_engine` is `saga`: for a process that starts another with the same interpreter."""

import sys

from saga_engine.cli import main

if __name__ == "__main__":
    sys.exit(main())
