"""Needs a Chromium: ``make test-browser`` finds or installs one and names it."""

from __future__ import annotations

import os

collect_ignore_glob = [] if "TRIVEC_CHROMIUM" in os.environ else ["test_*.py"]
