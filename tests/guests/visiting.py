# SPDX-License-Identifier: Apache-2.0
"""The page of a guest, asked as a person would."""

from __future__ import annotations

import http.client
import time

WAIT = 240


def page(address: str, row: str = "") -> list[str]:
    """The lines of the application's page; with `row`, after it was written."""
    end = time.monotonic() + WAIT
    while True:
        connection = http.client.HTTPConnection(address, timeout=5)
        try:
            connection.request("POST" if row else "GET", "/cgi-bin/index.cgi", row or None)
            return connection.getresponse().read().decode().splitlines()
        except OSError:
            assert time.monotonic() < end, f"{address} did not answer within {WAIT} s"
            time.sleep(0.5)
        finally:
            connection.close()
