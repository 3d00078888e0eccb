# SPDX-License-Identifier: Apache-2.0
"""`python -m unterbau` is the command `unterbau`."""

from unterbau.cli import main

if __name__ == "__main__":
    main()
