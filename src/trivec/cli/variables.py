"""What the command line takes from the environment, and PLACE where it is left out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from typer.core import TyperCommand

from trivec.cli.paths import is_for_reading

__all__ = ["CHAT_MODEL", "COLLECTION", "DEVICE", "MODEL", "PLACE", "PlacedCommand"]

PLACE = "TRIVEC_PLACE"
COLLECTION = "TRIVEC_COLLECTION"
MODEL = "TRIVEC_MODEL"
DEVICE = "TRIVEC_DEVICE"
CHAT_MODEL = "TRIVEC_CHAT_MODEL"


class PlacedCommand(TyperCommand):
    """A command whose first argument is PLACE, which ``TRIVEC_PLACE`` stands in for.

    By itself the parser would take the next argument for the first.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line, with the place of the environment where none is given."""
        place = os.environ.get(PLACE)
        if place and not ctx.resilient_parsing and self._is_left_out(ctx, args):
            args = [place, *args]
        return super().parse_args(ctx, args)

    def _is_left_out(self, ctx: Any, args: list[str]) -> bool:
        given, _, _ = self.make_parser(ctx).parse_args(args=list(args))
        first, *others = [
            parameter
            for parameter in self.get_params(ctx)
            if parameter.param_type_name == "argument"
        ]
        place = given.get(first.name)
        if not isinstance(place, str):
            return True
        if any(one.required and not _is_given(given.get(one.name)) for one in others):
            return True
        return any(one.nargs == -1 for one in others) and is_for_reading(Path(place))


def _is_given(value: object) -> bool:
    return isinstance(value, str) or bool(isinstance(value, tuple) and value)
