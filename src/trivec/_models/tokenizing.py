"""A model's tokenizer as threads can share it, and texts as it can read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trivec.errors import ModelError

if TYPE_CHECKING:
    import tokenizers

__all__ = ["encodable", "unlimited"]


def unlimited(pretrained: Any) -> tokenizers.Tokenizer:
    """Return the Rust object of a transformers tokenizer, with truncation and padding off.

    Truncation is a setting inside it, and changing it while another thread encodes fails with
    "Already borrowed". Who cuts texts off in Python never changes the object, and needs no lock.

    Raises:
        ModelError: the tokenizer is not a fast one.
    """
    backend: tokenizers.Tokenizer | None = getattr(pretrained, "backend_tokenizer", None)
    if backend is None:
        raise ModelError(
            f"the model's tokenizer is a {type(pretrained).__name__}; a fast tokenizer is "
            "needed: save one as tokenizer.json in the model's folder"
        )
    backend.no_truncation()
    backend.no_padding()
    return backend


def encodable(text: str) -> str:
    """Replace lone surrogates, which UTF-8 and so the tokenizer cannot express."""
    try:
        text.encode()
    except UnicodeEncodeError:  # through UTF-16, two halves of a pair become their character
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
