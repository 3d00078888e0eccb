# SPDX-License-Identifier: Apache-2.0
"""What a report looks like to others: one module a format, pure functions over `Report` and `Inventory`.

`cli.prove` writes what they return. They judge nothing: an outcome is passed on in the words of the format, and what
was not shown never becomes a pass.
"""
