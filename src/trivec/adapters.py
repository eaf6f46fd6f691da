"""What an adapter of a framework needs besides the rooms of the core that it adapts.

An adapter maps values: a framework's documents, messages, callbacks and filters to trivec's and
back. It imports public modules alone, this one among them, and its framework.
"""

from __future__ import annotations

from trivec._runtime.checks import shown
from trivec._runtime.ending import aending, ending
from trivec._runtime.lazy_names import lazy_names
from trivec._runtime.plain import fingerprint_name, own_text, plain_values
from trivec._runtime.reports import warn_of_losses

__all__ = [
    "aending",
    "ending",
    "fingerprint_name",
    "lazy_names",
    "own_text",
    "plain_values",
    "shown",
    "warn_of_losses",
]
