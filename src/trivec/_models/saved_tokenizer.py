"""A ``tokenizer.json`` and its special tokens, read without transformers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from trivec.errors import ModelError

if TYPE_CHECKING:
    import tokenizers

__all__ = ["SavedTokenizer"]


class SavedTokenizer:
    """What trivec needs of a transformers tokenizer, under the same names.

    Args:
        file: a ``tokenizer.json``.
        special_tokens: ids by role; ``pad`` is needed, ``cls``, ``eos`` and ``unk`` may be None.
        has_types: whether the model is told the segment of each token.
    """

    def __init__(
        self, file: Path, special_tokens: Mapping[str, int | None], *, has_types: bool
    ) -> None:
        self._file = file
        self.pad_token_id = special_tokens["pad"]
        self.cls_token_id = special_tokens.get("cls")
        self.eos_token_id = special_tokens.get("eos")
        self.unk_token_id = special_tokens.get("unk")
        self.model_input_names = ["input_ids", "attention_mask"]
        if has_types:
            self.model_input_names.append("token_type_ids")

    @cached_property
    def backend_tokenizer(self) -> tokenizers.Tokenizer:
        """The Rust object, read when it is first asked for.

        Raises:
            ModelError: the file is damaged.
        """
        from tokenizers import Tokenizer

        try:
            read: tokenizers.Tokenizer = Tokenizer.from_file(str(self._file))
        except Exception as err:  # the Rust library raises plain Exceptions
            raise ModelError(f"the tokenizer {self._file} cannot be read ({err})") from err
        return read
