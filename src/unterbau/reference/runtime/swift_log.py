# SPDX-License-Identifier: Apache-2.0
"""Swift logs to syslog only; `log_custom_handlers = swift_log.to_stderr` sends it where the others log."""

import logging
import sys

_known = set()


def to_stderr(conf, name, log_to_console, log_route, fmt, logger, adapted_logger):
    """Called by Swift for each logger that it makes."""
    if logger.name not in _known:
        _known.add(logger.name)
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(server)s %(message)s"))
        logger.addHandler(handler)
