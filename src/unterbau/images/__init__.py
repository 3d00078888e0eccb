# SPDX-License-Identifier: Apache-2.0
"""`unterbau images`: vendors' images in a cloud, from a catalogue that is data (docs/images.md, ADR 25).

`model` is pure: the catalogue, checksum files, what an image says of itself. `fetching` asks vendors, `signature` asks gpgv,
`adding` makes and renews images through the port. `words` shows it.
"""
