"""What encoders and rerankers share: finding, loading and running a model, and its tokenizer."""
