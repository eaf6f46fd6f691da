"""How a chunk lies in a point's payload: in trivec's, LlamaIndex's or Haystack's layout."""

from __future__ import annotations

from trivec.payloads.fields import Field
from trivec.payloads.trivec import Codec, PayloadCodec

__all__ = ["Codec", "Field", "PayloadCodec"]
