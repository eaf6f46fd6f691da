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
# # From a folder to cited answers
#
# **You learn** how trivec turns PDFs and Markdown into passages, finds them, says why, and answers with citations.
# It also shows what happens if the documents do not hold the answer.
#
# **You need** `pip install 'trivec[mini,files]'` and the folder `handbook` beside this notebook. No key, no network.
#
# **Time**: five minutes to read, half a minute to run.

# %% [markdown]
# ## Settings
#
# As it stands, the notebook runs offline: `mini` is a small real model, and the chat model is scripted.
# Set `REAL = True` for BGE-M3 and a chat model behind the OpenAI protocol. This needs
# `pip install 'trivec[flag,openai,files]'` and the key in `OPENAI_API_KEY`. The address of a server of your own goes into `OPENAI_BASE_URL`.

# %%
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from trivec import HybridIndex, OpenAIChat, RagPipeline, load_encoder
from trivec.ingest import chunks
from trivec.types import ChatReply

REAL = False

FOLDER = Path("handbook")
PLACE = Path(mkdtemp()) / "kb"  # a folder of your own keeps the index


class ScriptedChat:
    """Stands for a language model: it says what it was told to say."""

    def __init__(self, answer: str) -> None:
        self.answer = answer

    def chat(
        self, messages: Sequence[Mapping[str, str]], *, schema: Mapping[str, Any] | None = None
    ) -> ChatReply:
        return ChatReply(self.answer)

    def stream(self, messages: Sequence[Mapping[str, str]]) -> Iterator[ChatReply]:
        yield ChatReply(self.answer)


if REAL:
    encoder = load_encoder("BAAI/bge-m3")
    chat = OpenAIChat.connect("gpt-4o-mini")
else:
    encoder = load_encoder("mini")
    chat = ScriptedChat(
        "Descale the machine every three months, or when the red lamp lights up [1]."
    )

# %% [markdown]
# ## Files to passages
#
# `chunks` reads each file, cleans its text and splits it. A passage knows its file, and in a PDF its page.

# %%
passages = list(chunks([FOLDER], encoder.tokenizer, root=FOLDER))
for passage in passages:
    print(passage.source, passage.metadata, passage.text[:40].replace("\n", " "))

# %% [markdown]
# ## Index them
#
# One forward pass gives the dense and the sparse vectors of a passage. Adding the same passages again encodes nothing.

# %%
index = HybridIndex.open(PLACE, encoder)
first = index.add(passages, replace_sources=True)
again = index.add(passages, replace_sources=True)
print(f"first: {first.added} added; again: {again.skipped} unchanged")

# %% [markdown]
# ## Search, and see why
#
# `explain=True` gives the score of each arm, and the words that question and passage share.

# %%
question = "How often should I descale the machine?"
hits = index.search(question, k=2, explain=True)
for hit in hits:
    print(f"{hit.score:.3f}  {hit.source}  {hit.metadata}")
    print("   ", {arm: round(score, 3) for arm, score in hit.arms.items()})
    print("   ", [match.term for match in hit.matches if match.arm == "bm25"])

# %% [markdown]
# A question in Chinese finds the Chinese file.

# %%
chinese = index.search("滤网多久清洗一次？", k=1)[0]
print(chinese.source, chinese.text)

# %% [markdown]
# ## Answer with citations
#
# The model gets numbered passages and cites them. trivec checks each sentence against the passage that it cites.

# %%
rag = RagPipeline(index, chat)
answer = rag.answer(question)
print(answer.text)
for passage in answer.cited:
    print(f"[{passage.number}] {passage.hit.source}, page {passage.hit.metadata.get('page')}")

# %% [markdown]
# ## No evidence, no answer
#
# Nothing in the handbook bears on the next question. With `mini`, trivec refuses before the model is asked.
# With another encoder, the model refuses; or [measure a threshold](../docs/answering.md).

# %%
refusal = rag.answer("Who painted the Mona Lisa?")
print(refusal.refused, refusal.reason, refusal.text)

# %% [markdown]
# ## What must hold

# %%
assert first.added == len(passages) == again.skipped
assert (hits[0].source, hits[0].metadata["page"]) == ("manual.pdf", 2)
assert chinese.source == "保养.md"
assert not answer.refused
assert [passage.hit.source for passage in answer.cited] == ["manual.pdf"]
assert refusal.refused
index.close()
