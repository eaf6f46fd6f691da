# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: "1.3"
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # LangChain: from a folder to cited answers, and an agent
#
# **You learn** how to fill trivec's LangChain store from PDFs and Markdown, tune its retriever, and build a chain that
# streams an answer and cites its passages, or refuses. Then an agent of LangGraph searches by itself.
# At the end a collection of langchain-qdrant moves over, without being written again.
#
# **You need** `pip install 'trivec[mini,langchain,files,server]' langgraph langchain-qdrant` and the folder `handbook`
# beside this notebook. No key, no network.
#
# **Time**: ten minutes to read, half a minute to run.

# %% [markdown]
# ## Settings
#
# As it stands, the notebook runs offline: `mini` is a small real model, and the chat model is scripted. It calls the tool for every question
# about the machine, and answers from the first passage.
# Set `REAL = True` for BGE-M3 and OpenAI. This needs `langchain-openai` besides, `flag` instead of `mini`, and the key in `OPENAI_API_KEY`.

# %%
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    ToolMessage,
)
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.tools import create_retriever_tool
from langchain_qdrant import QdrantVectorStore
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from langchain_trivec import BGEM3Embeddings, TrivecRetriever, TrivecVectorStore, create_rag_chain
from trivec import load_encoder
from trivec.ingest import chunks

REAL = False

FOLDER = Path("handbook")
PLACE = Path(mkdtemp()) / "kb"  # a folder of your own keeps the index


class ScriptedModel(BaseChatModel):
    """Stands for a language model that can call tools."""

    answer: str = "Descale the machine every three months, or when the red lamp lights up [1]."
    may_search: bool = False

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **kwargs: Any) -> BaseChatModel:
        return self.model_copy(update={"may_search": True})

    def _reply(self, messages: list[BaseMessage]) -> AIMessage:
        last = messages[-1]
        if isinstance(last, ToolMessage):
            return AIMessage("The handbook says: " + str(last.content).split("\n\n")[1])
        if self.may_search and "machine" in str(last.content):
            call = {"name": "search_handbook", "args": {"query": str(last.content)}, "id": "call-1"}
            return AIMessage("", tool_calls=[call])
        return AIMessage("You are welcome." if self.may_search else self.answer)

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._reply(messages))])

    def _stream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        reply = self._reply(messages)
        for number, word in enumerate(str(reply.content).split(" ")):
            space = " " if number else ""
            yield ChatGenerationChunk(message=AIMessageChunk(space + word))


if REAL:
    from langchain_openai import ChatOpenAI

    encoder = load_encoder("BAAI/bge-m3")
    llm = ChatOpenAI(model="gpt-4o-mini")
else:
    encoder = load_encoder("mini")
    llm = ScriptedModel()

# %% [markdown]
# ## Files to documents
#
# trivec's readers know PDF, Markdown, HTML, CSV and JSON Lines. Any LangChain loader and splitter will do as well.

# %%
documents = [
    Document(
        id=chunk.id,
        page_content=chunk.text,
        metadata={"source": chunk.source, **chunk.metadata},
    )
    for chunk in chunks([FOLDER], encoder.tokenizer, root=FOLDER)
]
for document in documents:
    print(document.metadata, document.page_content[:40].replace("\n", " "))

# %% [markdown]
# ## The store
#
# It keeps dense, sparse and BM25 vectors. A text goes through the model once.

# %%
store = TrivecVectorStore.from_documents(documents, BGEM3Embeddings(encoder), location=PLACE)
found = store.similarity_search("滤网多久清洗一次？", k=1)[0]
print(found.metadata["source"], found.page_content)

# %% [markdown]
# ## The retriever
#
# Arms, weights, fusion, reranking and filters are its fields. With `explain=True` a document says how it was found.

# %%
retriever = TrivecRetriever(index=store.index, k=3, explain=True)
question = "How often should I descale the machine?"
retrieved = retriever.invoke(question)
for document in retrieved:
    why = document.metadata["trivec"]
    print(document.metadata["source"], {arm: round(score, 3) for arm, score in why["arms"].items()})

# %% [markdown]
# ## The chain
#
# The chain numbers the passages, asks the model, and checks its citations. It is a runnable: `stream` and `ainvoke` work too.

# %%
chain = create_rag_chain(retriever, llm)
result = chain.invoke(question)
print(result["answer"])
for citation in result["citations"]:
    print(f"[{citation['number']}]", citation["document"].metadata["source"])

# %% [markdown]
# ## No evidence, no answer
#
# Nothing in the handbook bears on the next question. With `mini`, trivec refuses before the model is asked.

# %%
refusal = chain.invoke("Who painted the Mona Lisa?")
print(refusal["refused"], refusal["reason"], refusal["answer"])

# %% [markdown]
# ## An answer that streams
#
# The documents come first, then pieces of the answer, last what the checks say.

# %%
pieces = list(chain.stream(question))
print(len(pieces), "pieces, from", list(pieces[0]), "to", list(pieces[-1]))

# %% [markdown]
# ## An agent with the retriever as a tool
#
# A chain always searches. An agent decides. The retriever becomes a tool, and LangGraph draws the loop: the model may call the tool,
# the tool's result goes back to the model, and a reply without a call ends it.
# `content_and_artifact` hands over the documents themselves, so that you see what the agent read.

# %%
tool = create_retriever_tool(
    retriever,
    "search_handbook",
    "Search the handbook of the coffee machine.",
    response_format="content_and_artifact",
)
searching = llm.bind_tools([tool])


def model(state: MessagesState) -> dict[str, list[BaseMessage]]:
    """Let the model reply, with a call or without."""
    return {"messages": [searching.invoke(state["messages"])]}


graph = StateGraph(MessagesState)
graph.add_node("model", model)
graph.add_node("tools", ToolNode([tool]))
graph.add_edge(START, "model")
graph.add_conditional_edges("model", tools_condition)
graph.add_edge("tools", "model")
agent = graph.compile()
print(agent.get_graph().draw_mermaid())

# %%
asked = agent.invoke({"messages": [HumanMessage("How long is the warranty of the machine?")]})
for message in asked["messages"]:
    print(f"{message.type:6}", message.tool_calls if message.type == "ai" else "", message.content)

# %%
thanked = agent.invoke({"messages": [HumanMessage("Thank you!")]})
print([message.type for message in thanked["messages"]])


# %%
def artifacts(messages: list[BaseMessage]) -> Iterator[Document]:
    """Yield the documents that the agent read."""
    for message in messages:
        if isinstance(message, ToolMessage):
            yield from message.artifact


read = list(artifacts(asked["messages"]))
print([document.metadata["source"] for document in read])

# %% [markdown]
# ## Moving from `HuggingFaceBgeEmbeddings` and langchain-qdrant
#
# | before | after |
# |---|---|
# | `HuggingFaceBgeEmbeddings(model_name="BAAI/bge-m3")` | `BGEM3Embeddings(load_encoder("BAAI/bge-m3"))` |
# | `FastEmbedSparse(...)` | nothing: the same pass gives the sparse vectors |
# | `QdrantVectorStore.from_documents(...)` | `TrivecVectorStore.from_documents(...)` |
#
# `HuggingFaceBgeEmbeddings` puts an English instruction before each question, unless you set `query_instruction=""`. BGE-M3 wants none.
# The passages have none in either, so their vectors stay valid.
#
# This is a catalogue of spare parts, in a collection as langchain-qdrant writes it: one dense vector for each page.

# %%
NUMBERS = [f"K2-{number * 7919 % 100_000:05}" for number in range(1, 49)]
NAMES = ("seal", "sieve", "lid", "wheel", "hose", "valve")
PAGES = [
    ", ".join(f"{number} {name}" for number, name in zip(NUMBERS[at : at + 6], NAMES, strict=True))
    for at in range(0, 48, 6)
]
embedding = BGEM3Embeddings(encoder)
theirs = QdrantVectorStore.from_texts(
    PAGES, embedding, location=":memory:", collection_name="parts"
)
print(PAGES[0])


# %%
def pages_found(parts: QdrantVectorStore | TrivecVectorStore) -> int:
    """Return for how many numbers the first document is the page that has it."""
    asked_for = [(f"Which part is {number}?", number) for number in NUMBERS]
    return sum(
        number in parts.similarity_search(text, k=1)[0].page_content for text, number in asked_for
    )


before = pages_found(theirs)
print(before, "of", len(NUMBERS), "by dense vectors")

# %% [markdown]
# `adopt=True` is your word that this model wrote the vectors. Then two arms are added beside them. The dense vectors stay as they are,
# and langchain-qdrant goes on reading the collection.

# %%
moved = TrivecVectorStore.from_existing_collection(
    "parts", embedding, location=theirs.client, adopt=True
)
added = {arm: moved.index.add_arm(arm) for arm in ("sparse", "bm25")}
after = pages_found(moved)
print(added, "-", after, "of", len(NUMBERS), "by the hybrid")

# %% [markdown]
# ## What must hold

# %%
assert found.metadata["source"] == "保养.md"
assert retrieved[0].metadata["source"] == "manual.pdf"
assert retrieved[0].metadata["page"] == 2
assert not result["refused"]
assert [citation["document"].metadata["source"] for citation in result["citations"]] == [
    "manual.pdf"
]
assert refusal["refused"]
assert "documents" in pieces[0]
assert "citations" in pieces[-1]
assert len(pieces) > 5
assert "".join(piece.get("answer", "") for piece in pieces) == result["answer"]
assert [message.type for message in asked["messages"]] == ["human", "ai", "tool", "ai"]
assert read[0].metadata["source"] == "faq.md"
assert "Two years" in asked["messages"][-1].content
assert [message.type for message in thanked["messages"]] == ["human", "ai"]
assert added == {"sparse": len(PAGES), "bm25": len(PAGES)}
assert before < after == len(NUMBERS)
assert pages_found(theirs) == before  # it reads what it read
store.index.close()
