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
# # People's words, documents' words
#
# **You learn** how a question in lay words gets the words of the documents: from a language model, or from the corpus itself.
# You see on medical and legal questions when that helps, and when it does not.
#
# **You need** `pip install 'trivec[mini,plots]'` and the folder `lay` beside this notebook. No key, no network.
#
# **Time**: five minutes to read, half a minute to run.

# %% [markdown]
# ## Settings
#
# As it stands, the notebook runs offline: `mini` is a small real model, and the chat model is scripted.
# Set `REAL = True` for BGE-M3 and a chat model behind the OpenAI protocol. This needs
# `pip install 'trivec[flag,openai,plots]'` and the key in `OPENAI_API_KEY`. The address of a server of your own goes into `OPENAI_BASE_URL`.

# %%
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import matplotlib.pyplot as plt

from trivec import (
    Chunk,
    FeedbackRewriter,
    HybridIndex,
    KeywordRewriter,
    OpenAIChat,
    load_encoder,
)
from trivec.encoders import MemoEncoder
from trivec.rewriting import CorpusVocabulary
from trivec.types import ChatReply

REAL = False

LAY = Path("lay")
PLACE = Path(mkdtemp()) / "kb"  # a folder of your own keeps the index

# %% [markdown]
# ## Questions in lay words
#
# The passages are in the words of textbooks and statutes. The questions are in people's words, each with its passage.
# The keywords stand for what a large language model says: they are the terms of the trade, written by hand.

# %%
LAY_QUESTIONS = {
    "Why do I get gassy and bloated with the runs whenever I drink milk?": (
        "en-lactose",
        ["lactose intolerance", "flatulence", "diarrhoea"],
    ),
    "It stings when I pee and I have to run to the toilet all the time, what helps?": (
        "en-cystitis",
        ["cystitis", "dysuria", "urinary frequency"],
    ),
    "My big toe is suddenly red hot and even the bed sheet on it is unbearable, what is going on?": (
        "en-gout",
        ["gout", "urate", "colchicine"],
    ),
    "My chest whistles and I cannot get air when I run in the cold, which spray do I need?": (
        "en-asthma",
        ["asthma", "wheeze", "bronchodilator"],
    ),
    "My neighbour has used a piece of my garden for ages, can he end up keeping it?": (
        "en-adverse-possession",
        ["adverse possession", "limitation period", "title to land"],
    ),
    "Who may handle Mum's bank stuff once she gets too forgetful?": (
        "en-power-of-attorney",
        ["lasting power of attorney", "mental capacity", "donor"],
    ),
    "一爬楼胸口就发闷，歇一会儿又好了，是哪里堵了？": (
        "zh-angina",
        ["心绞痛", "冠状动脉", "心肌缺血"],
    ),
    "眼睛突然胀得厉害，看灯有一圈彩虹，还想吐，能等到明天再看吗？": (
        "zh-glaucoma",
        ["青光眼", "眼压", "虹视"],
    ),
    "干了三年半被裁，能拿到几个月的钱？": (
        "zh-severance",
        ["经济补偿", "劳动合同解除", "工作年限"],
    ),
    "楼上掉下个花盆砸到人，又找不出是哪家，咋办？": (
        "zh-high-toss",
        ["高空抛物", "侵权责任", "建筑物使用人"],
    ),
}
TERMS = {
    "What is the treatment of acute gout with colchicine?": "en-gout",
    "deficiency of intestinal lactase and the hydrogen breath test": "en-lactose",
    "lasting power of attorney registered with the Public Guardian": "en-power-of-attorney",
    "inhaled corticosteroids and short-acting beta-2 agonists": "en-asthma",
    "急性闭角型青光眼 眼压": "zh-glaucoma",
    "经济补偿按工作年限支付": "zh-severance",
}


class ScriptedChat:
    """Stands for a language model: it knows the keywords of these questions."""

    def __init__(self) -> None:
        self.asked = 0

    def chat(
        self, messages: Sequence[Mapping[str, str]], *, schema: Mapping[str, Any] | None = None
    ) -> ChatReply:
        self.asked += 1
        said = messages[-1]["content"]
        words = [words for text, (_, words) in LAY_QUESTIONS.items() if text in said]
        return ChatReply(json.dumps({"keywords": words[0] if words else []}))

    def stream(self, messages: Sequence[Mapping[str, str]]) -> Iterator[ChatReply]:
        yield self.chat(messages)


if REAL:
    encoder = load_encoder("BAAI/bge-m3")
    chat = OpenAIChat.connect("gpt-4o-mini")
else:
    encoder = load_encoder("mini")
    chat = ScriptedChat()

# %% [markdown]
# A rewriting searches first, and the search itself comes after. A memo spares the second encoding.

# %%
lines = (LAY / "corpus.jsonl").read_text("utf-8").splitlines()
passages = [json.loads(line) for line in lines]
index = HybridIndex.open(PLACE, MemoEncoder(encoder))
index.add(Chunk(passage["text"], id=passage["_id"]) for passage in passages)

# %% [markdown]
# ## Keywords of a language model
#
# The model sees some questions with their keywords, then the question. This is in-context learning: nothing is trained.
# The keywords join the question where words are compared. Where meaning is compared, the question stays as it is.

# %%
keywords = KeywordRewriter(chat, domain="illnesses and the law")
MILK, (MILK_PASSAGE, _) = next(iter(LAY_QUESTIONS.items()))
rewrite = keywords.rewrite(MILK)
print(rewrite.keywords)
for text in rewrite.query_texts():
    print(text.arms, text.text)

# %%
index.search(MILK, k=3, arms="bm25", explain=True)

# %%
index.search(rewrite.query_texts(), k=3, arms="bm25", explain=True)

# %% [markdown]
# ## The corpus's own words
#
# Without any model: search by meaning, and take the words that stand out in what was found.

# %%
corpus = FeedbackRewriter(CorpusVocabulary(index))
print(corpus.rewrite(MILK).keywords)

# %% [markdown]
# A question that is in the documents' words already is *covered*. Nothing is added then, and no model is asked.

# %%
chooser = KeywordRewriter(chat, vocabulary=CorpusVocabulary(index))
before = chat.asked if isinstance(chat, ScriptedChat) else 0
covered = chooser.rewrite("deficiency of intestinal lactase and the hydrogen breath test")
asked = chat.asked - before if isinstance(chat, ScriptedChat) else 0
print(covered.covered, covered.keywords, "- asked", asked, "times")

# %% [markdown]
# ## When it helps, and when it does not
#
# Each question counts one over the rank of its passage: 1 for the first place, 0 beyond the tenth.
# So few questions show a nature, not a rate; the [benchmarks](../benchmarks/README.md#rewriting) have more of them.


# %%
def score(asked: Mapping[str, str], rewriter: Any, **options: Any) -> float:
    """Return the mean reciprocal rank of the passages that answer."""
    total = 0.0
    for question, identity in asked.items():
        query = question if rewriter is None else rewriter.rewrite(question).query_texts()
        ids = [hit.id for hit in index.search(query, k=10, **options)]
        total += 1 / (ids.index(identity) + 1) if identity in ids else 0
    return total / len(asked)


lay = {question: identity for question, (identity, _) in LAY_QUESTIONS.items()}
REWRITERS = {"question alone": None, "model's keywords": keywords, "corpus's words": corpus}
SEARCHES = {"BM25": {"arms": "bm25"}, "hybrid": {}, "dense": {"arms": "dense"}}
figures = {
    (kind, search, name): score(asked, rewriter, **options)
    for kind, asked in (("lay words", lay), ("documents' words", TERMS))
    for search, options in SEARCHES.items()
    for name, rewriter in REWRITERS.items()
}
for (kind, search, name), figure in figures.items():
    print(f"{kind:18} {search:8} {name:18} {figure:.2f}")

# %%
picture, both = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True, layout="constrained")
for axes, kind in zip(both, ("lay words", "documents' words"), strict=True):
    for at, name in enumerate(REWRITERS):
        heights = [figures[kind, search, name] for search in SEARCHES]
        axes.bar([place + 0.27 * at for place in range(3)], heights, 0.25, label=name)
    axes.set_xticks([place + 0.27 for place in range(3)], list(SEARCHES))
    axes.set_title(kind)
both[0].set_ylabel("mean of one over the rank")
picture.legend(*both[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)

# %% [markdown]
# - **It helps most** where words alone are compared, and people's words are not the documents'.
# - **The hybrid gains less.** It weighs its arms for each question, and words that match little count little anyway.
# - **It does nothing** for dense vectors, since they get the question as it is.
# - **It has nothing to add** where the question is in the documents' words.
#
# The scripted keywords are as good as they can be: people wrote them. What a very small model says helps little.

# %% [markdown]
# ## What must hold

# %%
assert rewrite.keywords
assert covered.covered
assert not covered.keywords
assert asked == 0
for name in ("model's keywords", "corpus's words"):
    assert figures["lay words", "BM25", name] > figures["lay words", "BM25", "question alone"] + 0.2
    assert figures["documents' words", "hybrid", name] >= 0.9
    assert figures["lay words", "dense", name] == figures["lay words", "dense", "question alone"]
index.close()
