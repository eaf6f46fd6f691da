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
# # Three generations of retrieval
#
# **You learn** what BM25, dense vectors, learned sparse vectors and multi-vectors find, and what each misses.
# You see the tokens behind a vector with their weights. Then you see what a hybrid and a reranker make of it all, in English and Chinese.
#
# **You need** `pip install 'trivec[mini,files,plots]'` and the folder `sample` beside this notebook. No key, no network.
#
# **Time**: ten minutes to read, less than a minute to run.
#
# The order of the story is that of [an article by Arthur Chiao](https://arthurchiao.github.io/blog/rag-basis-bge-zh/), in Chinese.

# %% [markdown]
# ## Settings
#
# As it stands, the notebook runs offline: `mini` stands for both models. It is small, and weak between languages.
# Set `REAL = True` for BGE-M3 and its reranker. This needs `pip install 'trivec[flag,files,plots]'`.

# %%
from pathlib import Path
from tempfile import mkdtemp

import matplotlib.pyplot as plt

from trivec import HybridIndex, IndexConfig, load_encoder, load_reranker
from trivec.ingest import chunks
from trivec.rerankers import rank
from trivec.types import Hits

REAL = False

FOLDER = Path("sample")
PLACE = Path(mkdtemp()) / "kb"  # a folder of your own keeps the index

encoder = load_encoder("BAAI/bge-m3" if REAL else "mini")
reranker = load_reranker("BAAI/bge-reranker-v2-m3" if REAL else "mini")

# %% [markdown]
# ## One sentence, four ways to keep it
#
# One forward pass of the model gives three of them:
#
# - the **dense** vector, a few hundred numbers for the whole sentence;
# - the **learned sparse** vector, a weight for each token that the sentence has;
# - the **multi-vector**, one small vector for each token (ColBERT).
#
# BM25 needs no model. It counts words, and a rare word counts more.

# %%
ENGLISH = "Milvus is a vector database built for scalable similarity search"
CHINESE = "信息检索的技术发展大致可分为三个阶段"

kept = dict(zip((ENGLISH, CHINESE), encoder.encode_documents([ENGLISH, CHINESE]), strict=True))
for text, encoding in kept.items():
    print(text)
    print("  dense", encoding.dense.shape, "multi-vector", encoding.colbert.shape)
    print("  learned sparse", len(encoding.sparse.indices), "weights")

# %% [markdown]
# Each sparse weight belongs to a token, so that one can read the vector. A BM25 vector knows only how often a word stands there.
# The model has learned which tokens matter, and pieces of a rare name count too.


# %%
def weights_of(text: str) -> dict[str, float]:
    """Return the tokens of a text with their learned weights, heaviest first."""
    sparse = kept[text].sparse
    tokens = encoder.decode_tokens(sparse.indices.tolist())
    pairs = zip(tokens, sparse.values.tolist(), strict=True)
    seen = [pair for pair in pairs if pair[0] != "▁"]  # a space has a weight, too
    return dict(sorted(seen, key=lambda pair: -pair[1]))


english, chinese = weights_of(ENGLISH), weights_of(CHINESE)
print({token: round(weight, 2) for token, weight in chinese.items()})

figure, axes = plt.subplots(figsize=(7, 3))
axes.bar(list(english), list(english.values()))
axes.set_ylabel("learned weight")
axes.tick_params(axis="x", rotation=60)
figure.tight_layout()

# %% [markdown]
# ## An index with every arm
#
# 62 articles, 22 in English and 40 in Chinese. `colbert` is not among the default arms, since it takes the most room.

# %%
passages = list(chunks([FOLDER / "en", FOLDER / "zh"], encoder.tokenizer, root=FOLDER))
index = HybridIndex.open(
    PLACE, encoder, config=IndexConfig(arms=("dense", "sparse", "bm25", "colbert"))
)
index.add(passages)

# %%
index

# %% [markdown]
# ## First generation: words
#
# BM25 finds a code or a name at once, in any language.

# %%
index.search("AS-278", k=2, arms="bm25", explain=True)

# %% [markdown]
# It finds nothing where question and passage share no word. Germs are not in the article on the immune system.

# %%
GERMS = "how the body fights germs"
index.search(GERMS, k=2, arms="bm25", explain=True)

# %% [markdown]
# ## Second generation: meaning
#
# The dense vector finds it, without a common word.

# %%
index.search(GERMS, k=2, arms="dense", explain=True)

# %% [markdown]
# A code has no meaning, and others now stand before the passage that holds it.

# %%
index.search("AS-278", k=4, arms="dense", explain=True)

# %% [markdown]
# ## Third generation: learned words, and a vector for each token
#
# The sparse arm matches tokens as BM25 matches words, with weights that a model learned.
# The multi-vector compares every token of the question with every token of a passage, by meaning.

# %%
index.search("AS-278", k=2, arms="sparse", explain=True)

# %%
index.search(GERMS, k=2, arms="colbert", explain=True)

# %% [markdown]
# ## All together
#
# The hybrid asks the dense, the sparse and the BM25 arm, and weighs them anew for each question.
# An arm that could match little counts little: see what each adds.

# %%
index.search("AS-278", k=2, explain=True)

# %%
index.search(GERMS, k=2, explain=True)

# %% [markdown]
# A reranker reads question and passage together. This is slow, so that it only reads what was found.

# %%
found = index.search("Who wrote The Lord of the Rings?", k=10)
order = rank(reranker, "Who wrote The Lord of the Rings?", [hit.text for hit in found])
Hits(found[one.position] for one in order)[:3]

# %% [markdown]
# ## What each finds, counted
#
# Four kinds of questions, each with the article that it is about. A way has found it if the article stands first.
# So few questions show a kind's nature, not a rate. [evaluate_and_tune](08_evaluate_and_tune.ipynb) measures with intervals.

# %%
QUESTIONS = {
    "a name or a code": {
        "AS-278": "en/apollo-program.md",
        "T. T. Tsui": "en/victoria-and-albert-museum.md",
        "Ogród Saski": "en/warsaw.md",
        "64DD": "zh/64DD.md",
        "阿普伽评分": "zh/阿普伽新生儿评分.md",
    },
    "the document's words": {
        "efficiency of a Rankine cycle": "en/steam-engine.md",
        "subsoil and alpine glaciers": "en/rhine.md",
        "deforestation of the Amazon": "en/amazon-rainforest.md",
        "雷公藤的毒性": "zh/雷公藤.md",
        "翼尖小翼减少阻力": "zh/翼尖小翼.md",
    },
    "other words": {
        GERMS: "en/immune-system.md",
        "how plants turn sunlight into sugar": "en/chloroplast.md",
        "Why did petrol become so expensive in America?": "en/1973-oil-crisis.md",
        "飞机翅膀尖上翘起来的部分": "zh/翼尖小翼.md",
        "写《魔戒》的作家": "zh/托爾金.md",
    },
    "another language": {
        "Who wrote The Lord of the Rings?": "zh/托爾金.md",
        "growing rice": "zh/稻.md",
        "rules of tennis": "zh/網球.md",
        "scale for newborn babies": "zh/阿普伽新生儿评分.md",
        "亚马逊雨林被砍伐": "en/amazon-rainforest.md",
    },
}
WAYS = {
    "BM25": {"arms": "bm25"},
    "dense": {"arms": "dense"},
    "learned sparse": {"arms": "sparse"},
    "multi-vector": {"arms": "colbert"},
    "hybrid": {},
    "hybrid, multi-vector": {"colbert": "rescore"},
}


def first_by(way: str, question: str) -> str | None:
    """Return the article that stands first; the reranker reads ten passages of the hybrid."""
    hits = index.search(question, k=10, **WAYS.get(way, {}))
    if way == "hybrid, reranker":
        best = rank(reranker, question, [hit.text for hit in hits])[0]
        return hits[best.position].source
    return hits[0].source if hits else None


counts = {
    kind: {
        way: sum(first_by(way, question) == source for question, source in asked.items())
        for way in [*WAYS, "hybrid, reranker"]
    }
    for kind, asked in QUESTIONS.items()
}
for kind, by_way in counts.items():
    print(f"{kind:22}", by_way)

# %%
ways = list(counts["other words"])
figure, axes = plt.subplots(figsize=(9, 3))
shades = [[counts[kind][way] for way in ways] for kind in counts]
axes.imshow(shades, cmap="Blues", vmin=0, vmax=5.5, aspect="auto")
for row, kind in enumerate(counts):
    for column, way in enumerate(ways):
        count = counts[kind][way]
        colour = "white" if count > 3 else "black"
        axes.text(column, row, f"{count} of 5", ha="center", va="center", color=colour)
axes.set_xticks(range(len(ways)), [way.replace(" ", "\n") for way in ways])
axes.set_yticks(range(len(counts)), list(counts))
figure.tight_layout()

# %% [markdown]
# - **Words** find names and codes, and miss whatever is said otherwise. Between languages they find nothing.
# - **Dense vectors** find meaning, and put a code that they have never seen behind others.
# - **Learned sparse vectors** know which words matter, but they too need a common token.
# - **Multi-vectors** are good at both, and take the most room.
# - **The hybrid** has the words of the first generation and the meaning of the second.
# - **Scoring what it found by multi-vectors** helps most between languages. `mini`'s reranker helps little; a large one helps more.

# %% [markdown]
# ## What must hold

# %%
names, same, other, foreign = counts.values()
assert names["BM25"] == names["learned sparse"] == names["hybrid"] == 5
assert names["dense"] < 5
assert same["BM25"] == same["hybrid"] == 5
assert other["BM25"] < other["dense"] == other["hybrid"]
assert foreign["BM25"] == foreign["learned sparse"] == 0
assert foreign["multi-vector"] > foreign["hybrid"] > 0
assert len(kept[ENGLISH].dense) == encoder.info.dense_dim
assert max(english.values()) / min(english.values()) > 1.5  # BM25 gives each of them the same
assert index.search(GERMS, k=1, arms="dense")[0].source == "en/immune-system.md"
index.close()
