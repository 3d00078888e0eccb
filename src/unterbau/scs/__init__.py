# SPDX-License-Identifier: Apache-2.0
"""What the standards of the Sovereign Cloud Stack say, as pure functions; `prove` and `switch` derive from it."""
