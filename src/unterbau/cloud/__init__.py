# SPDX-License-Identifier: Apache-2.0
"""The port through which any cloud is read and written (`port`), and what stands behind it."""
