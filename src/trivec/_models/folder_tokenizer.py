"""The tokenizer of a model's folder, read without transformers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trivec._models.folder import optional_object, read_config
from trivec.errors import ModelError

if TYPE_CHECKING:
    import tokenizers

__all__ = ["FolderTokenizer", "read_tokenizer"]

_FILE = "tokenizer.json"
_SETTINGS = ("special_tokens_map.json", "tokenizer_config.json")  # the later one wins
#: what transformers takes for each family where the folder names nothing
_ROLES = {
    "bert": {"pad": "[PAD]", "cls": "[CLS]", "unk": "[UNK]"},
    "roberta": {"pad": "<pad>", "cls": "<s>", "eos": "</s>", "unk": "<unk>"},
    "xlm-roberta": {"pad": "<pad>", "cls": "<s>", "eos": "</s>", "unk": "<unk>"},
}
_NAMES = ("pad", "cls", "eos", "unk")


@dataclass(frozen=True, slots=True)
class FolderTokenizer:
    """A tokenizer, and what its file does not say.

    Attributes:
        backend: the tokenizer, without truncation and padding.
        special_tokens: ids by role; None where the model has no such token.
        has_types: whether the model tells the segments of a pair apart.
    """

    backend: tokenizers.Tokenizer
    special_tokens: Mapping[str, int | None]
    has_types: bool

    def save(self, file: Path) -> None:
        """Write it as a ``tokenizer.json``."""
        self.backend.save(str(file), pretty=False)


def read_tokenizer(folder: Path, *, expected: str) -> FolderTokenizer:
    """Return the tokenizer of a model's folder.

    Args:
        folder: the folder.
        expected: what may be given, for the error's message.

    Raises:
        ModelError: there is none in the fast format, or it is damaged.
    """
    from tokenizers import Tokenizer

    config = read_config(folder, expected=expected)
    settings: dict[str, Any] = {}
    for name in _SETTINGS:
        settings |= optional_object(folder / name)
    if not (folder / _FILE).is_file():
        raise ModelError(
            f"{folder} has no {_FILE}; where transformers is installed, write one with: "
            "AutoTokenizer.from_pretrained(folder).save_pretrained(folder)"
        )
    try:
        backend = Tokenizer.from_file(str(folder / _FILE))
    except Exception as err:  # the Rust library raises plain Exceptions
        raise ModelError(f"the tokenizer {folder / _FILE} cannot be read ({err})") from err
    backend.no_truncation()
    backend.no_padding()
    family = str(config.get("model_type"))
    names = {**_ROLES.get(family, {}), **_named(settings)}
    special = {role: backend.token_to_id(names[role]) if role in names else None for role in _NAMES}
    return FolderTokenizer(backend, special, _has_types(settings, config, family))


def _named(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the special tokens by role; a token is a text, or an object with one."""
    names = {}
    for role in _NAMES:
        token = settings.get(f"{role}_token")
        if isinstance(token, dict):
            token = token.get("content")
        if isinstance(token, str):
            names[role] = token
    return names


def _has_types(settings: Mapping[str, Any], config: Mapping[str, Any], family: str) -> bool:
    inputs = settings.get("model_input_names")
    named = "token_type_ids" in inputs if isinstance(inputs, list) else family == "bert"
    return named and int(config.get("type_vocab_size", 1)) > 1
