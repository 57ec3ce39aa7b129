"""`python -m llmproxy`."""

import sys

from llmproxy.cli import main

if __name__ == "__main__":
    sys.exit(main())
