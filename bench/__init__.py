# SPDX-License-Identifier: Apache-2.0
"""Measurements: each module fills its own section of bench/README.md."""
