"""What a model's folder says of its use: pooling and prompts, as sentence-transformers has them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trivec._models.folder import optional_object
from trivec.errors import ModelError

__all__ = ["StatedUsage", "stated_usage"]

POOLING = Path("1_Pooling") / "config.json"
PROMPTS = "config_sentence_transformers.json"
OF_QUERIES, OF_PASSAGES = ("query",), ("document", "passage")


@dataclass(frozen=True, slots=True)
class StatedUsage:
    """How a model is used, where its folder says so.

    Attributes:
        pooling: ``cls`` or ``mean``; a folder that says nothing has ``cls``, as BGE-M3.
        query_instruction: put before a query.
        passage_instruction: put before a passage.
    """

    pooling: str = "cls"
    query_instruction: str = ""
    passage_instruction: str = ""


def stated_usage(path: Path) -> StatedUsage:
    """Return how a model's folder says that it is used.

    Raises:
        ModelError: the files are damaged, or ask for a pooling that cannot be computed here.
    """
    prompts = optional_object(path / PROMPTS).get("prompts") or {}
    if not isinstance(prompts, dict):
        raise ModelError(f"prompts in {path / PROMPTS} is not an object; download it again")

    def prompt(names: tuple[str, ...]) -> str:
        return next((str(prompts[name]) for name in names if prompts.get(name)), "")

    return StatedUsage(_pooling(path), prompt(OF_QUERIES), prompt(OF_PASSAGES))


def _pooling(path: Path) -> str:
    stated = optional_object(path / POOLING)
    if not stated:
        return "cls"  # as BGE's models have it
    modes = {
        name.removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token")
        for name, is_on in stated.items()
        if name.startswith("pooling_mode_") and is_on
    } or {str(stated.get("pooling_mode", "cls"))}
    for pooling in ("cls", "mean"):
        if modes == {pooling}:
            return pooling
    raise ModelError(f"{path / POOLING} asks for {sorted(modes)}; cls or mean can be computed")
