# SPDX-License-Identifier: Apache-2.0
"""SCS conformance: collect once, judge offline. See docs/design/prove.md."""
