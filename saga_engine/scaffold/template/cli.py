"""The engine's command line with this folder as its project: `python cli.py ...` is `saga -C <this folder> ...`."""

import sys
from pathlib import Path

from saga_engine.cli import main

if __name__ == "__main__":
    sys.exit(main(project=Path(__file__).parent))
