"""`python -m elboroom` is the same program as `elboroom`."""

from __future__ import annotations

import sys

from elboroom.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
