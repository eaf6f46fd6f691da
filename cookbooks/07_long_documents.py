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
# # Long documents: passages, headings, late chunking
#
# **You learn** how the size of passages decides what fits into a prompt. You see what the path of headings does for a passage
# that does not say what it is about, and what late chunking adds. You measure when each helps, and when it does not.
#
# **You need** `pip install 'trivec[mini,files,plots]'` and the folders `sample` and `manuals` beside this notebook. No key, no network.
#
# **Time**: ten minutes to read, a minute to run.

# %% [markdown]
# ## Settings
#
# As it stands, the notebook runs offline: `mini` is a small real model that reads 512 tokens at a time.
# Set `REAL = True` for BGE-M3, which reads 8,192. This needs `pip install 'trivec[flag,files,plots]'`.

# %%
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import matplotlib.pyplot as plt

from trivec import Chunk, HybridIndex, load_encoder
from trivec.encoders import MemoEncoder
from trivec.ingest import chunks
from trivec.text import token_counter
from trivec.types import Hits

REAL = False

ARTICLES = Path("sample/en")
MANUALS = Path("manuals")
FOLDER = Path(mkdtemp())  # a folder of your own keeps the indexes

model = load_encoder("BAAI/bge-m3" if REAL else "mini")
encoder = MemoEncoder(model)  # the same questions are asked of every index

# %% [markdown]
# ## How long a passage should be
#
# Eight articles, and questions whose answer is a few words in one of them. `max_tokens` says how long a passage may be.
# A splitter never reaches over a heading, and ends where a paragraph or a sentence ends if it can.

# %%
NAMES = "steam-engine apollo-program black-death chloroplast rhine warsaw immune-system geology"
FILES = [ARTICLES / f"{name}.md" for name in NAMES.split()]
ANSWERS = {
    "How hot is the steam where it enters a turbine?": "565 °C",
    "Who made the successful instrument that draws the pressure in a cylinder?": "Charles Richard",
    "How much steam does the Swedish engine use for a kilowatt hour?": "4 kg",
    "What burned three astronauts during a rehearsal on the ground?": "an electrical fire",
    "What did the repair of the old moon pictures cost?": "$230,000",
    "What was the name of the first flight with a crew?": "Apollo 1",
    "Which port did the plague come through in 1347?": "Marseille",
    "How many inhabitants of Algiers died of it in 1620?": "30 to 50 thousand",
    "What did learned people think that the pestilence came from?": "bad air",
    "When was the plastome proved to exist?": "1962",
    "Which plants' chloroplast DNA was read by Japanese teams?": "liverwort and tobacco",
    "How many castles stand along the romantic stretch of the river?": "more than 40 castles",
    "How much lower was the sea in the ice age?": "120 m",
    "Which treaty kept soldiers out of the Rhineland?": "Treaty of Versailles",
    "When did Warsaw's stock exchange open for the first time?": "1817",
    "Where does the football club Polonia play?": "Konwiktorska Street",
    "Which two kinds of molecules exist only in animals with jaws?": "T cell receptors",
    "Which drugs against inflammation are the strongest?": "Glucocorticoids",
    "Who wrote a Theory of the Earth?": "James Hutton",
    "Who found shells on a mountain far from the sea?": "Shen Kuo",
}
SIZES = (32, 64, 128, 256, 480)
BUDGETS = (100, 200, 400, 800, 1600)
count = token_counter(model.tokenizer)


def tokens_needed(index: HybridIndex, question: str, answer: str, **options: Any) -> float:
    """Return how many tokens of hits one reads until the answer has been read."""
    read = 0
    for hit in index.search(question, k=60, **options):
        read += count(hit.text)
        if answer in hit.text:
            return read
    return float("inf")


shares, numbers = {}, {}
for size in SIZES:
    passages = list(chunks(FILES, model.tokenizer, root=ARTICLES, max_tokens=size))
    with HybridIndex.open(FOLDER / str(size), encoder) as index:
        index.add(passages)
        numbers[size] = index.count()
        needed = [tokens_needed(index, *pair) for pair in ANSWERS.items()]
    shares[size] = [sum(tokens <= most for tokens in needed) / len(needed) for most in BUDGETS]
    print(
        f"{size:4} tokens: {numbers[size]:4} passages,", [f"{share:.0%}" for share in shares[size]]
    )

# %%
figure, axes = plt.subplots(figsize=(7, 3.6))
for size in SIZES:
    axes.plot(BUDGETS, shares[size], marker="o", label=f"{size} ({numbers[size]} passages)")
axes.set_xscale("log", base=2)
axes.set_xticks(BUDGETS, [str(budget) for budget in BUDGETS])
axes.set_xlabel("tokens of hits that the language model reads")
axes.set_ylabel("questions whose answer is there")
axes.legend(title="tokens of a passage")
figure.tight_layout()

# %% [markdown]
# - **Short passages** give the answer within the fewest tokens, and a fact is easy to match. But a sentence alone may not say what it is about,
#   and at 32 tokens some answers are never found. Every passage costs its vectors, too.
# - **Long passages** are found more surely, and a reader sees what stands around. But a few of them fill a prompt.
# - **In between** is a good beginning: 128 to 256 tokens. Measure it with your own questions and the prompt that you pay for.

# %% [markdown]
# ## What a passage is about
#
# Six manuals of coffee machines, four in English and two in Chinese. Each has the same sections, and a section does not name its machine.

# %%
whole = list(chunks([MANUALS], model.tokenizer, root=MANUALS))
print(len(whole), "passages")
print(whole[1].text)

# %% [markdown]
# trivec puts the path of headings before each passage. Without it this is what a plain splitter gives:

# %%
plain = [replace(chunk, text=chunk.text.partition("\n\n")[2]) for chunk in whole]
print(plain[1].text)

# %% [markdown]
# ## Late chunking
#
# The model reads the whole manual once. Then each passage takes the vectors of its own tokens, which know what stood before and after.
# The dense vector is their mean. `late_chunking=True` does it; BM25 sees the passage alone, as ever.

# %%
ASKED = {
    "How many litres does the {} hold?|{}的水箱能装多少水？": "Water|水箱",
    "How often must the {} be descaled?|{}多久除垢一次？": "Descaling|除垢",
    "What does the blinking red lamp of the {} mean?|{}红灯闪烁是什么意思？": "Lamps|指示灯",
    "How many watts does the {} need?|{}的功率是多少？": "Power|用电",
    "For how long is the {} covered by the warranty?|{}保修几年？": "Warranty|保修",
}
MACHINES = {
    "merlin.md": "Merlin",
    "osprey.md": "Osprey",
    "harrier.md": "Harrier",
    "swift.md": "Swift",
}
CHINESE = {"云雀.md": "云雀", "白鹭.md": "白鹭"}
QUESTIONS = {
    question.split("|")[which].format(name): (source, heading.split("|")[which])
    for which, machines in enumerate((MACHINES, CHINESE))
    for source, name in machines.items()
    for question, heading in ASKED.items()
}
WAYS = {
    "text alone": (plain, False),
    "text alone, late chunking": (plain, True),
    "path of headings": (whole, False),
    "path of headings, late chunking": (whole, True),
}
ARMS = {"dense": {"arms": "dense"}, "BM25": {"arms": "bm25"}, "hybrid": {}}


def right(hits: Hits, source: str, heading: str) -> bool:
    """Return whether the first hit is the section that answers."""
    return bool(hits) and (hits[0].source, hits[0].metadata["headings"][-1]) == (source, heading)


def measured(passages: Sequence[Chunk], place: Path, *, late: bool) -> dict[str, int]:
    """Return how many questions each arm answers by its first hit."""
    with HybridIndex.open(place, encoder) as index:
        index.add(passages, late_chunking=late)
        return {
            arm: sum(
                right(index.search(question, k=1, **options), *place_of)
                for question, place_of in QUESTIONS.items()
            )
            for arm, options in ARMS.items()
        }


counts = {
    way: measured(passages, FOLDER / way, late=late) for way, (passages, late) in WAYS.items()
}
for way, by_arm in counts.items():
    print(f"{way:32}", by_arm)

# %%
figure, axes = plt.subplots(figsize=(8, 3.2))
for at, way in enumerate(WAYS):
    heights = [counts[way][arm] for arm in ARMS]
    axes.bar([place + 0.2 * at for place in range(len(ARMS))], heights, 0.19, label=way)
axes.set_xticks([place + 0.3 for place in range(len(ARMS))], list(ARMS))
axes.set_ylabel(f"right first hits, of {len(QUESTIONS)}")
axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
figure.tight_layout()

# %% [markdown]
# ## When late chunking does harm
#
# The paragraphs of the articles do say what they are about. What stands around then only blurs their vectors.
# These are the articles again, in passages of 64 tokens, and the share of answers within 200 tokens.

# %%
short = list(chunks(FILES, model.tokenizer, root=ARTICLES, max_tokens=64))
blurred = {}
for late in (False, True):
    with HybridIndex.open(FOLDER / f"late-{late}", encoder) as index:
        index.add(short, late_chunking=late)
        for arm, options in ARMS.items():
            needed = [tokens_needed(index, *pair, **options) for pair in ANSWERS.items()]
            blurred[arm, late] = sum(tokens <= 200 for tokens in needed) / len(needed)
for arm in ARMS:
    print(f"{arm:8} alone {blurred[arm, False]:.0%}, late chunking {blurred[arm, True]:.0%}")

# %% [markdown]
# - **The path of headings** costs nothing and helps every arm, words too. It is on by default.
# - **Late chunking** helps where there are no headings and a passage does not say what it is about.
#   It cannot help BM25, and beside headings it adds nothing.
# - **It does harm** to the dense vectors of passages that stand by themselves. The hybrid loses less. So it is off by default.
# - A model that reads more at a time may gain more. Measure it on your own documents: `trivec sync --late-chunking` and `trivec eval`.

# %% [markdown]
# ## What must hold

# %%
within_200 = {size: shares[size][BUDGETS.index(200)] for size in SIZES}
assert within_200[64] > within_200[480] + 0.3
assert shares[32][-1] < shares[128][-1]
assert numbers[32] > 10 * numbers[480]
assert counts["path of headings"]["hybrid"] >= counts["text alone"]["hybrid"] + 15
assert counts["path of headings"]["BM25"] > counts["text alone"]["BM25"]
assert counts["text alone, late chunking"]["dense"] >= counts["text alone"]["dense"] + 10
assert counts["text alone, late chunking"]["BM25"] == counts["text alone"]["BM25"]
assert blurred["dense", True] < blurred["dense", False]
assert blurred["BM25", True] == blurred["BM25", False]
