# SPDX-License-Identifier: Apache-2.0
"""What a server runs to tell of its random numbers (scs-0101): its own entropy_avail, and FIPS 140-2 over 1000 blocks.

`prove.write` sends the text of this file to a throw-away server as user data, and reads what it prints from the console.
So the tests that are shipped are the tests that were tested. It needs no network and nothing but Python 3.6: no import of
ours, and no newer syntax. The figures are those of FIPS 140-2, section 4.9.1 (with change notice 1).
"""

import json
import os
import time
import zlib

BLOCK = 2500
"""Bytes of one block: 20,000 bits."""
BLOCKS = 1000
RUNS = ((2315, 2685), (1114, 1386), (527, 723), (240, 384), (103, 209), (103, 209))
"""How many runs of length 1, 2, 3, 4, 5, and 6 or more there may be, of ones and of zeros."""
LONGEST_RUN = 25
WORD = "UNTERBAU-SAYS"


def fails(block: bytes) -> bool:
    """Whether 20,000 bits fail one of the four tests: monobit, poker, runs, long run."""
    bits = bin(int.from_bytes(b"\x01" + block, "big"))[3:]
    ones = bits.count("1")
    if not 9725 < ones < 10275:
        return True
    nibbles = block.hex()
    poker = 16 / 5000 * sum(nibbles.count(digit) ** 2 for digit in "0123456789abcdef") - 5000
    if not 2.16 < poker < 46.17:
        return True
    for other in "01":
        lengths = [len(run) for run in bits.split(other) if run]
        if max(lengths) > LONGEST_RUN:
            return True
        counts = [lengths.count(length) for length in range(1, 6)]
        counts.append(len(lengths) - sum(counts))
        if any(not low <= count <= high for count, (low, high) in zip(counts, RUNS)):  # noqa: B905 - Python 3.6
            return True
    return False


def line(told: object) -> str:
    """What is printed: the word, JSON, and its check sum, since other output may run into it."""
    text = json.dumps(told, sort_keys=True)
    return "%s %s %08x" % (WORD, text, zlib.crc32(text.encode()) & 0xFFFFFFFF)  # noqa: UP031 - Python 3.6


def main() -> None:
    """Measure once, then say it again and again: a console may lose lines."""
    told = {"kernel": os.uname().release}
    try:
        with open("/proc/sys/kernel/random/entropy_avail") as file:
            told["entropy_avail"] = int(file.read())  # type: ignore[assignment]
        with open("/dev/random", "rb", buffering=0) as file:
            told["failures"] = sum(fails(_read(file)) for _ in range(BLOCKS))  # type: ignore[assignment]
        told["blocks"] = BLOCKS  # type: ignore[assignment]
    except (OSError, ValueError) as error:
        told["error"] = str(error)
    for _ in range(60):
        for place in ("/dev/console", "/dev/ttyS0"):
            try:
                with open(place, "w") as console:
                    console.write("\n" + line(told) + "\n")
            except OSError:
                pass
        time.sleep(5)


def _read(file) -> bytes:  # type: ignore[no-untyped-def]
    """One block; /dev/random may give less than was asked for."""
    data = b""
    while len(data) < BLOCK:
        data += file.read(BLOCK - len(data))
    return data


if __name__ == "__main__":
    main()
