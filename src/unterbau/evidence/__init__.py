# SPDX-License-Identifier: Apache-2.0
"""The container and the envelope of signed bundles, and the keys. Each verb brings its own bundle on top."""

from unterbau.evidence.keys import fingerprint, signing_key

__all__ = ["fingerprint", "signing_key"]
