# SPDX-License-Identifier: Apache-2.0
"""Change requests to the map as data: who asks that which technologies be named. `judge.official` reads them."""
