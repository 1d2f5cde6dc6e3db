"""`python -m ntm_toolkit` is `ntm`, also where no script of that name is on the path."""

from __future__ import annotations

from ntm_toolkit.cli import main

if __name__ == "__main__":
    main()
