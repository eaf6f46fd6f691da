"""A LlamaIndex query engine that cites its passages, or refuses.

Needs: pip install 'trivec[mini,llama-index]'
Run:   python examples/llama_index_query_engine.py
"""

from __future__ import annotations

from llama_index.core import Document, StorageContext, VectorStoreIndex
from llama_index.core.llms import CompletionResponse, CompletionResponseGen, CustomLLM, LLMMetadata

from llama_index_trivec import TrivecRetriever, TrivecVectorStore, create_query_engine
from trivec import HybridIndex, load_encoder

DOCUMENTS = [
    Document(doc_id="tank", text="The tank of the Kestrel 2 holds 1.8 litres of water."),
    Document(doc_id="warranty", text="The warranty is two years from the day of purchase."),
]


class ScriptedLLM(CustomLLM):
    """Stands for a language model, so that this file runs offline; use any LlamaIndex LLM."""

    @property
    def metadata(self) -> LLMMetadata:
        """Return what LlamaIndex asks every model."""
        return LLMMetadata(model_name="scripted")

    def complete(self, prompt: str, formatted: bool = False, **_: object) -> CompletionResponse:
        """Return the one answer that this model knows."""
        del prompt, formatted
        return CompletionResponse(text="The tank of the Kestrel 2 holds 1.8 litres [1].")

    def stream_complete(
        self, prompt: str, formatted: bool = False, **_: object
    ) -> CompletionResponseGen:
        """Yield the same answer as one piece."""
        answer = self.complete(prompt, formatted)
        yield CompletionResponse(text=answer.text, delta=answer.text)


def main() -> None:
    """Ask one question that the documents answer, and one that they do not."""
    with HybridIndex.open("./llama-index-kb", load_encoder("mini")) as index:
        store = TrivecVectorStore(index)
        context = StorageContext.from_defaults(vector_store=store)
        VectorStoreIndex.from_documents(DOCUMENTS, context, embed_model=store.embed_model)
        engine = create_query_engine(TrivecRetriever(index, similarity_top_k=2), ScriptedLLM())
        for question in ("How much water does the tank hold?", "Who painted the Mona Lisa?"):
            response = engine.query(question)
            print(response)
            print(response.metadata["trivec"]["refused"], response.metadata["trivec"]["reason"])


if __name__ == "__main__":
    main()
