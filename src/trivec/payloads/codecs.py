"""The payload layouts by name: to remember one, and to recognise that of a foreign collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from trivec.errors import CollectionError
from trivec.payloads.haystack import HaystackCodec
from trivec.payloads.llama_index import NODE_CONTENT, REFERENCES, LlamaIndexCodec
from trivec.payloads.trivec import Codec, PayloadCodec

__all__ = ["CODECS", "Codec", "codec_keys", "detect_codec", "stored_codec"]

LANGCHAIN = PayloadCodec(name="langchain", text_key="page_content")

CODECS: Mapping[str, Codec] = {
    "trivec": PayloadCodec(),
    "langchain": LANGCHAIN,
    "llama_index": LlamaIndexCodec(),
    "haystack": HaystackCodec(),
}


def codec_keys(codec: Codec) -> dict[str, str]:
    """Return what must be remembered of a codec beside its name: the keys of one with its own."""
    if codec == CODECS.get(codec.name) or not isinstance(codec, PayloadCodec):
        return {}
    return asdict(codec)


def stored_codec(name: str, keys: Mapping[str, str]) -> Codec:
    """Return the codec that a collection remembers.

    Raises:
        CollectionError: this version of trivec knows no such layout.
    """
    if keys:
        return PayloadCodec(**keys)
    if name not in CODECS:
        raise CollectionError(
            f"the collection has the payload layout {name!r}, this trivec knows {sorted(CODECS)}; "
            "use the version that wrote it"
        )
    return CODECS[name]


def detect_codec(payloads: Sequence[Mapping[str, Any]]) -> Codec | None:
    """Return the layout of foreign payloads, judged by their keys; None when it is not plain.

    LlamaIndex, LangChain and Haystack have telltale keys. LangChain users may rename theirs: then
    there are two keys, one with text and one with an object or null in every payload.
    """
    kinds: dict[str, set[type]] = {}
    for payload in payloads:
        for key, value in payload.items():
            kinds.setdefault(key, set()).add(type(value))
    if NODE_CONTENT in kinds or ("text" in kinds and not kinds.keys().isdisjoint(REFERENCES)):
        return CODECS["llama_index"]
    if {"id", "content", "meta"} <= kinds.keys():
        return CODECS["haystack"]
    if {"text", "metadata", "trivec"} <= kinds.keys():
        return CODECS["trivec"]
    texts = [key for key, types in kinds.items() if types == {str}]
    objects = [key for key, types in kinds.items() if types <= {dict, type(None)}]
    if len(texts) == len(objects) == 1 and len(kinds) == 2:
        keyed = replace(LANGCHAIN, text_key=texts[0], metadata_key=objects[0])
        return keyed if keyed == LANGCHAIN else replace(keyed, name="custom")
    return LANGCHAIN if LANGCHAIN.text_key in kinds and LANGCHAIN.metadata_key in kinds else None
