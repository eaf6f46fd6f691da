"""The commands by name, and where each lies: a process imports those that it was asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

__all__ = ["COMMANDS", "Command", "asked_for"]


@dataclass(frozen=True)
class Command:
    """A command.

    Attributes:
        module: of trivec.cli.
        function: in it.
        placed: whether its first argument is the place of an index, which a variable may name.
    """

    module: str
    function: str
    placed: bool = True

    def load(self) -> Callable[..., Any]:
        """Import the module, and return the function."""
        function: Callable[..., Any] = getattr(
            import_module(f"trivec.cli.{self.module}"), self.function
        )
        return function


COMMANDS: Mapping[str, Command] = {
    "sync": Command("files", "sync"),
    "search": Command("search", "search"),
    "explain": Command("explain", "explain"),
    "explore": Command("explore", "explore"),
    "ask": Command("ask", "ask"),
    "info": Command("info", "info"),
    "check": Command("check", "check"),
    "delete": Command("changing", "delete"),
    "copy": Command("changing", "copy"),
    "add-arm": Command("changing", "add_arm"),
    "questions": Command("questions", "questions"),
    "feedback": Command("questions", "feedback"),
    "reindex": Command("finetuning", "reindex"),
    "keywords-dataset": Command("dataset", "keywords_dataset"),
    "index": Command("files", "index", placed=False),
    "export": Command("export", "export", placed=False),
    "eval": Command("evaluating", "eval", placed=False),
    "compare": Command("comparing", "compare", placed=False),
    "tune": Command("tuning", "tune", placed=False),
    "dataset": Command("dataset", "dataset", placed=False),
    "leaks": Command("dataset", "leaks", placed=False),
    "finetune": Command("finetuning", "finetune", placed=False),
    "mix": Command("finetuning", "mix", placed=False),
    "prune": Command("finetuning", "prune", placed=False),
}
"""In the order of the help."""


def asked_for(arguments: Sequence[str]) -> list[str]:
    """Return the commands that a command line may mean.

    All of them where its first word is none: what is then said lists them.
    """
    words = [argument for argument in arguments if not argument.startswith("-")]
    if not words or words[0] not in COMMANDS:
        return list(COMMANDS)
    return [name for name in COMMANDS if name in words]
