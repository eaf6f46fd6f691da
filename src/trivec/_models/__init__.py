"""What encoders and rerankers share: finding, loading and running a model, and its tokenizer."""

__all__: list[str] = []
