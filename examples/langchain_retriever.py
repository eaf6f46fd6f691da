"""A LangChain retriever with weights for its arms, a filter, and the reasons for each document.

Needs: pip install 'trivec[mini,langchain]'
Run:   python examples/langchain_retriever.py
"""

from __future__ import annotations

from langchain_core.documents import Document

from langchain_trivec import BGEM3Embeddings, TrivecRetriever, TrivecVectorStore
from trivec import load_encoder

DOCUMENTS = [
    Document("Error E4: the pump runs dry. Fill the tank.", metadata={"model": "Kestrel 2"}),
    Document("Error E7: the grinder is blocked. Open it.", metadata={"model": "Kestrel 2"}),
    Document("Error E4: the door is open. Close it.", metadata={"model": "Merlin"}),
]


def main() -> None:
    """Search the documents of one model, and say which words were found."""
    embeddings = BGEM3Embeddings(load_encoder("mini"))  # "BAAI/bge-m3" for real use
    store = TrivecVectorStore.from_documents(DOCUMENTS, embeddings, location="./langchain-kb")
    retriever = TrivecRetriever(
        index=store.index,
        k=1,
        fusion="rrf",
        weights={"bm25": 2.0},  # codes such as E4 are words, not meanings
        filter={"model": "Kestrel 2"},
        explain=True,
    )
    document = retriever.invoke("What does E4 mean?")[0]
    print(document.page_content)
    print([match["term"] for match in document.metadata["trivec"]["matches"]])
    store.index.close()


if __name__ == "__main__":
    main()
