"""`python -m serving.server`: the local server; see `local_server/`."""

import sys

from .local_server.options import Options
from .local_server.program import main
from .local_server.server import running

__all__ = ["Options", "main", "running"]

if __name__ == "__main__":
    sys.exit(main())
