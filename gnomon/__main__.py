"""`python -m gnomon` is the `gnomon` command."""

import sys

from .engine.cli.main import main

sys.exit(main())
