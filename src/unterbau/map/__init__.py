# SPDX-License-Identifier: Apache-2.0
"""The catalogue as a map by layers (`chart`), and against the official map (`official`)."""
