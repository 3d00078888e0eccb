# SPDX-License-Identifier: Apache-2.0
"""Read of a cloud what `rights` judges: every listing but those of objects, what it offers, what `prove` sees. No write.

`cli` calls `look`.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from unterbau.cloud.port import Reader
from unterbau.doctor.findings import Findings
from unterbau.doctor.rights import LISTED, Refusal, Seen, findings
from unterbau.errors import CloudError, Forbidden, NotFound, Unsupported
from unterbau.prove.inventory import Inventory

T = TypeVar("T")
_WORKERS = 8


def look(reader: Reader, survey: Callable[[], Inventory] | None = None) -> Findings:
    """The findings of this cloud. `survey` is the look of `prove`.

    Raises AuthFailed, Unreachable, ... if not even the identity can be read.
    """
    identity, kinds = reader.identity(), reader.kinds()
    asked = [kind for kind in LISTED if kind in kinds]
    with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
        inventory = pool.submit(_or_refusal, survey) if survey else None
        around, unknown = pool.submit(_or_refusal, reader.surroundings), pool.submit(_or_refusal, reader.not_understood)
        listed = pool.map(lambda kind: _or_refusal(lambda: reader.listing(kind)), asked)
        seen = inventory.result() if inventory else None
        offered = around.result()
        told = Seen(
            identity=identity, kinds=kinds, unknown=unknown.result(),
            listings={
                kind: found if isinstance(found, Refusal) else found.not_shown
                for kind, found in zip(asked, listed, strict=True)
            },
            offering=offered if isinstance(offered, Refusal) else offered.offering,
            around=() if isinstance(offered, Refusal) else offered.not_shown,
            inventory=None if isinstance(seen, Refusal) else seen,
        )  # fmt: skip
    return Findings(about=identity.name, findings=findings(told))


def _or_refusal(read: Callable[[], T]) -> T | Refusal:
    try:
        return read()
    except CloudError as error:
        return Refusal(why=error.what, missing=isinstance(error, (Forbidden, NotFound, Unsupported)))
