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
# # LlamaIndex: from a folder to cited answers
#
# **You learn** how to fill trivec's LlamaIndex store from PDFs and Markdown, and build a query engine that cites its
# passages or refuses.
#
# **You need** `pip install 'trivec[mini,llama-index,files]'` and the folder `handbook` beside this notebook. No key, no network.
#
# **Time**: five minutes to read, half a minute to run.

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

from llama_index.core import Document, StorageContext, VectorStoreIndex
from llama_index.core.llms import CompletionResponse, CompletionResponseGen, CustomLLM, LLMMetadata
from llama_index.core.vector_stores import MetadataFilter, MetadataFilters

from llama_index_trivec import TrivecRetriever, TrivecVectorStore, create_query_engine
from trivec import HybridIndex, load_encoder
from trivec.ingest import find_files, read

REAL = False

FOLDER = Path("handbook")
PLACE = Path(mkdtemp()) / "kb"  # a folder of your own keeps the index


class ScriptedLLM(CustomLLM):
    """Stands for a language model: it says what it was told to say."""

    answer: str

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="scripted")

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=self.answer)

    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        yield CompletionResponse(text=self.answer, delta=self.answer)


if REAL:
    from llama_index.llms.openai import OpenAI

    encoder = load_encoder("BAAI/bge-m3")
    llm = OpenAI(model="gpt-4o-mini")
else:
    encoder = load_encoder("mini")
    llm = ScriptedLLM(
        answer="Descale the machine every three months, or when the red lamp lights up [1]."
    )

# %% [markdown]
# ## Files to documents
#
# trivec's readers give a document for each page of a PDF. Any LlamaIndex reader will do as well.

# %%
documents = [
    Document(text=page.text, metadata={"source": file.name, **page.metadata, **page.origin})
    for file in find_files([FOLDER])
    for page in read(file)
]
for document in documents:
    print(document.metadata, document.text[:40].replace("\n", " "))

# %% [markdown]
# ## The store
#
# LlamaIndex splits the documents into nodes. `store.embed_model` shares the forward pass of the index.

# %%
index = HybridIndex.open(PLACE, encoder)
store = TrivecVectorStore(index)
context = StorageContext.from_defaults(vector_store=store)
VectorStoreIndex.from_documents(documents, context, embed_model=store.embed_model)
print(index.count(), "nodes")

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
index.close()
