# SPDX-License-Identifier: Apache-2.0
"""Unterbau: the foundation as software you can stand up, judge, prove, and leave."""

__version__ = "0.1.0"
