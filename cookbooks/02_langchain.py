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
# # LangChain: from a folder to cited answers
#
# **You learn** how to fill trivec's LangChain store from PDFs and Markdown, tune its retriever, and build a chain that
# cites its passages or refuses.
#
# **You need** `pip install 'trivec[mini,langchain,files]'` and the folder `handbook` beside this notebook. No key, no network.
#
# **Time**: five minutes to read, half a minute to run.

# %% [markdown]
# ## Settings
#
# As it stands, the notebook runs offline: `mini` is a small real model, and the chat model is scripted.
# Set `REAL = True` for BGE-M3 and OpenAI. This needs `pip install 'trivec[flag,langchain,files]' langchain-openai` and the
# key in `OPENAI_API_KEY`.

# %%
from pathlib import Path
from tempfile import mkdtemp

from langchain_core.documents import Document
from langchain_core.language_models import FakeListChatModel

from langchain_trivec import BGEM3Embeddings, TrivecRetriever, TrivecVectorStore, create_rag_chain
from trivec import load_encoder
from trivec.ingest import chunks

REAL = False

FOLDER = Path("handbook")
PLACE = Path(mkdtemp()) / "kb"  # a folder of your own keeps the index

if REAL:
    from langchain_openai import ChatOpenAI

    encoder = load_encoder("BAAI/bge-m3")
    llm = ChatOpenAI(model="gpt-4o-mini")
else:
    encoder = load_encoder("mini")
    llm = FakeListChatModel(
        responses=["Descale the machine every three months, or when the red lamp lights up [1]."]
    )

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
store.index.close()
