# SPDX-License-Identifier: Apache-2.0
"""From one cloud to another: census, plan, move, verify, close, and the drill that is all of them in order."""
