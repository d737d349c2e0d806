"""Report what is installed, what fits and what does not."""

import sys

from mmfreq import check_env

__all__ = ['main']


def main() -> None:
    """Run the command."""
    sys.exit(check_env.main())
