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
# # LlamaIndex: from a folder to cited answers, a chat and a workflow
#
# **You learn** how to fill trivec's LlamaIndex store with an `IngestionPipeline`, and build a query engine that cites its
# passages or refuses. A chat engine and a workflow use the same retriever.
# At the end you see what takes the place of `BGEM3Index` and `FlagEmbeddingReranker`.
#
# **You need** `pip install 'trivec[mini,llama-index,files]'` and the folder `handbook` beside this notebook. No key, no network.
#
# **Time**: ten minutes to read, half a minute to run.

# %% [markdown]
# ## Settings
#
# As it stands, the notebook runs offline: `mini` is a small real model, and the LLM is scripted.
# Set `REAL = True` for BGE-M3 and OpenAI. This needs `pip install 'trivec[flag,llama-index,files]' llama-index-llms-openai`
# and the key in `OPENAI_API_KEY`.

# %%
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from llama_index.core import Document, StorageContext
from llama_index.core.chat_engine import CondensePlusContextChatEngine
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.llms import CompletionResponse, CompletionResponseGen, CustomLLM, LLMMetadata
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores import MetadataFilter, MetadataFilters
from llama_index.core.workflow import Event, StartEvent, StopEvent, Workflow, step

from llama_index_trivec import (
    CitedSynthesizer,
    TrivecRerank,
    TrivecRetriever,
    TrivecVectorStore,
    create_query_engine,
)
from trivec import HybridIndex, IndexConfig, SearchOptions, load_encoder, load_reranker
from trivec.ingest import find_files, read

REAL = False

FOLDER = Path("handbook")
PLACE = Path(mkdtemp()) / "kb"  # a folder of your own keeps the index


class ScriptedLLM(CustomLLM):
    """Stands for a language model: it gives the reply of the first words that the prompt has."""

    replies: dict[str, str]

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="scripted")

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(
            text=next(reply for words, reply in self.replies.items() if words in prompt)
        )

    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        reply = self.complete(prompt)
        reply.delta = reply.text
        yield reply


if REAL:
    from llama_index.llms.openai import OpenAI

    encoder = load_encoder("BAAI/bge-m3")
    reranker = load_reranker("BAAI/bge-reranker-v2-m3")
    llm = OpenAI(model="gpt-4o-mini")
else:
    encoder = load_encoder("mini")
    reranker = load_reranker("mini")
    llm = ScriptedLLM(
        replies={
            "standalone question": "How long is the warranty of the machine?",
            "is it covered": "Two years from the day of purchase.",
            "滤网": "每周清洗一次 [1]。",
            "": "Descale the machine every three months, or when the red lamp lights up [1].",
        }
    )

# %% [markdown]
# ## Files to documents
#
# trivec's readers give a document for each page of a PDF. Any LlamaIndex reader will do as well.

# %%
documents = [
    Document(
        text=page.text,
        doc_id=f"{file.name}-{number}",
        metadata={"source": file.name, **page.metadata, **page.origin},
    )
    for file in find_files([FOLDER])
    for number, page in enumerate(read(file))
]
for document in documents:
    print(document.metadata, document.text[:40].replace("\n", " "))

# %% [markdown]
# ## The pipeline
#
# It splits documents into nodes, embeds them and puts them into the store. `store.embed_model` shares the forward pass of the index.
# The docstore remembers what was there: a second run does nothing.

# %%
index = HybridIndex.open(PLACE, encoder)
store = TrivecVectorStore(index)
pipeline = IngestionPipeline(
    transformations=[SentenceSplitter(chunk_size=256, chunk_overlap=0), store.embed_model],
    vector_store=store,
    docstore=SimpleDocumentStore(),
)
runs = [len(pipeline.run(documents=documents)) for _ in range(2)]
print(runs, "nodes written,", index.count(), "in the index")

# %% [markdown]
# ## The retriever
#
# It searches on every arm: dense, learned sparse and BM25. Filters are LlamaIndex's own.

# %%
retriever = TrivecRetriever(index, similarity_top_k=3)
question = "How often should I descale the machine?"
nodes = retriever.retrieve(question)
for node in nodes:
    print(f"{node.score:.3f}", node.metadata["source"])

filters = MetadataFilters(filters=[MetadataFilter(key="source", value="保养.md")])
chinese = TrivecRetriever(index, similarity_top_k=1, filters=filters).retrieve("滤网多久清洗一次？")
print(chinese[0].text)

# %% [markdown]
# ## The query engine
#
# It numbers the passages, asks the LLM, and checks its citations. `response.metadata["trivec"]` has the result of the checks.

# %%
engine = create_query_engine(retriever, llm)
response = engine.query(question)
print(response)
print(response.metadata["trivec"]["citations"])

# %% [markdown]
# ## No evidence, no answer
#
# Nothing in the handbook bears on the next question. With `mini`, trivec refuses before the LLM is asked.

# %%
refusal = engine.query("Who painted the Mona Lisa?")
print(refusal.metadata["trivec"]["refused"], refusal.metadata["trivec"]["reason"], refusal)

# %% [markdown]
# ## A chat
#
# "For how long is it covered?" does not say what. The chat engine asks the LLM for a question that stands alone, and searches for that.
# A memory of your own keeps the conversation; the default one opens a database.

# %%
chat = CondensePlusContextChatEngine.from_defaults(
    retriever=retriever, llm=llm, memory=ChatMemoryBuffer.from_defaults(token_limit=4000)
)
first = chat.chat(question)
second = chat.chat("And for how long is it covered?")
for reply in (first, second):
    print(reply.source_nodes[0].metadata["source"], "->", reply.response)

# %% [markdown]
# ## A workflow
#
# Steps hand events to each other. This one searches the Chinese handbook alone where the question is Chinese.
# `CitedAnswer` is a workflow with the two plain steps.


# %%
class Passages(Event):
    """What was found."""

    query: str
    nodes: list[NodeWithScore]


class Handbook(Workflow):
    """Searches where the question's language is, and answers from there."""

    @step
    async def search(self, event: StartEvent) -> Passages:
        is_chinese = any("一" <= letter <= "龥" for letter in event.query)
        own = MetadataFilters(filters=[MetadataFilter(key="source", value="保养.md")])
        finder = TrivecRetriever(index, similarity_top_k=2, filters=own if is_chinese else None)
        return Passages(query=event.query, nodes=await finder.aretrieve(event.query))

    @step
    async def answer(self, event: Passages) -> StopEvent:
        synthesizer = CitedSynthesizer(llm, encoder=encoder)
        return StopEvent(result=await synthesizer.asynthesize(event.query, event.nodes))


answered = await Handbook().run(query="滤网多久清洗一次？")
print(answered, {node.metadata["source"] for node in answered.source_nodes})

# %% [markdown]
# ## Moving from `BGEM3Index`
#
# | before | after |
# |---|---|
# | `BGEM3Index(nodes, ...)` | `HybridIndex.open(folder, encoder, config=...)` with the arm `colbert` |
# | `index.as_retriever(similarity_top_k=2)` | `TrivecRetriever(index, similarity_top_k=2)` |
# | `weights_for_different_modes=[0.4, 0.2, 0.4]` | `SearchOptions(arms={"dense": 0.4, "sparse": 0.2, "colbert": 0.4}, fusion="rrf")` |
# | insert and delete: `NotImplementedError` | `pipeline.run(documents=...)`, `store.delete(...)` |
# | every question is compared with every node, in Python | Qdrant's engine searches |
# | `load_from_disk` reads a pickle | no pickle is read |
#
# The weights weigh ranks here, since the scores of the arms have different scales. Without `arms` and `fusion` the question decides.
#
# The folder that `persist` wrote holds the nodes as JSON, beside the pickle. They are read without the pickle, and encoded once more.

# %%
old = PLACE.with_name("bgem3-index")
written = StorageContext.from_defaults()
written.docstore.add_documents(
    [TextNode(id_=f"node-{number}", text=page.text) for number, page in enumerate(documents)]
)
written.persist(persist_dir=str(old))  # as BGEM3Index.persist does

nodes_of_old = list(StorageContext.from_defaults(persist_dir=str(old)).docstore.docs.values())
config = IndexConfig(arms=("dense", "sparse", "colbert"))
moved = HybridIndex.open(PLACE.with_name("moved"), encoder, config=config)
moved_store = TrivecVectorStore(moved)
IngestionPipeline(transformations=[moved_store.embed_model], vector_store=moved_store).run(
    nodes=nodes_of_old
)
weights = SearchOptions(arms={"dense": 0.4, "sparse": 0.2, "colbert": 0.4}, fusion="rrf")
from_moved = TrivecRetriever(moved, similarity_top_k=3, options=weights).retrieve(question)
print(moved.count(), "nodes;", from_moved[0].text[:60].replace("\n", " "))

# %% [markdown]
# ## Moving from `FlagEmbeddingReranker`
#
# | before | after |
# |---|---|
# | `FlagEmbeddingReranker(top_n=2, model="BAAI/bge-reranker-v2-m3")` | `TrivecRerank(load_reranker("BAAI/bge-reranker-v2-m3"), top_n=2)` |
#
# It runs on a CPU without PyTorch. `threshold` is the least score that stays, and the nodes that you gave are left as they were.

# %%
rerank = TrivecRerank(reranker, top_n=2, keep_retrieval_score=True)
scores = [node.score for node in from_moved]
reranked = rerank.postprocess_nodes(from_moved, query_str=question)
for node in reranked:
    print(f"{node.metadata['retrieval_score']:.3f} -> {node.score:.3f}", node.text[:40].strip())

# %% [markdown]
# ## What must hold

# %%
sources = {node.node.node_id: node.metadata["source"] for node in response.source_nodes}
citations = response.metadata["trivec"]["citations"]
assert nodes[0].metadata["source"] == "manual.pdf"
assert nodes[0].metadata["page"] == 2
assert chinese[0].metadata["source"] == "保养.md"
assert not response.metadata["trivec"]["refused"]
assert [sources[citation["node_id"]] for citation in citations] == ["manual.pdf"]
assert refusal.metadata["trivec"]["refused"]
assert runs[0] == index.count() > 0
assert runs[1] == 0
assert first.source_nodes[0].metadata["source"] == "manual.pdf"
assert second.source_nodes[0].metadata["source"] == "faq.md"
assert len(chat.chat_history) == 4
assert not answered.metadata["trivec"]["refused"]
assert {node.metadata["source"] for node in answered.source_nodes} == {"保养.md"}
assert moved.count() == len(documents)
assert "Descaling" in from_moved[0].text
assert len(reranked) == 2
assert [node.score for node in from_moved] == scores  # the given nodes stay as they were
moved.close()
index.close()
