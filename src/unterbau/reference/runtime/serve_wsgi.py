# SPDX-License-Identifier: Apache-2.0
"""Serve the WSGI entry point of one service: `serve_wsgi.py MODULE PORT`, e.g. keystone.wsgi.api."""

import importlib
import sys

import https_server


def main():
    """Load the application (it reads its configuration by environment) and serve it."""
    module, port = sys.argv[1], int(sys.argv[2])
    sys.argv = [module]  # the services take sys.argv for their own options
    https_server.end_with_supervisor()
    import sqlite_writers

    sqlite_writers.install()
    https_server.serve(importlib.import_module(module).application, port)


if __name__ == "__main__":
    main()
