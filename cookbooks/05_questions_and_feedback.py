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
# # Questions and feedback
#
# **You learn** how an FAQ finds its answers by its questions, since a question is more like a question than like an answer.
# A language model writes questions for passages that have none, and what users say of an answer counts from then on.
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
    HybridIndex,
    OpenAIChat,
    QuestionIndex,
    QuestionOptions,
    load_encoder,
)
from trivec.questions import QuestionPrompts
from trivec.types import ChatReply

REAL = False

LAY = Path("lay")
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
        '{"questions": ["Why do my hands shake in the morning until I have a beer?", '
        '"How do I get off the bottle?"]}'
    )

# %% [markdown]
# ## An FAQ
#
# 128 passages in the words of doctors and lawyers, and 108 questions as people ask them, in English and Chinese.
# A question's id names the passage that answers it.


# %%
def lines(name: str) -> list[dict[str, str]]:
    """Return the records of a file with one in each line."""
    return [json.loads(line) for line in (LAY / name).read_text("utf-8").splitlines()]


answers = {record["_id"]: record["text"] for record in lines("corpus.jsonl")}
faq = {record["_id"].removeprefix("q-"): record["text"] for record in lines("queries.jsonl")}

index = HybridIndex.open(PLACE, encoder)
index.add(Chunk(text, id=identity) for identity, text in answers.items())

# %% [markdown]
# The questions lie beside the index, in a collection of their own. Each belongs to a passage.

# %%
questions = QuestionIndex.open(index)
stored = questions.add({identity: [text] for identity, text in faq.items()})
print(stored, "questions of", len(answers), "passages")

# %% [markdown]
# ## New questions
#
# Nobody asks in the words of the FAQ. These ask for the same, each with the passage that answers it.

# %%
NEW = {
    "dairy gives me wind and diarrhoea": "en-lactose",
    "burning in my chest at night after a big meal": "en-gerd",
    "peeing hurts and I need to go every ten minutes": "en-cystitis",
    "my toe is burning and I can't bear the blanket on it": "en-gout",
    "dad's face is hanging on one side and his speech is slurred": "en-stroke",
    "she was stung by a wasp and her face is swelling up": "en-anaphylaxis",
    "my landlord kept my deposit": "en-tenancy-deposit",
    "can I get sacked without any warning?": "en-unfair-dismissal",
    "I do not want the trainers I bought online": "en-distance-selling",
    "who decides where the children live after we separate?": "en-custody",
    "爬楼梯的时候胸闷": "zh-angina",
    "吃了不干净的东西拉肚子又吐": "zh-gastroenteritis",
    "老公打呼噜，有时候会憋住不喘气": "zh-apnea",
    "被公司裁员有多少补偿": "zh-severance",
    "春节加班工资怎么算": "zh-overtime",
    "被邻居的狗咬伤，医药费谁承担": "zh-animal",
    "网上买的鞋不想要了": "zh-return",
    "没有遗嘱房子归谁": "zh-inheritance",
}


def rank_of(question: str, identity: str, how: QuestionOptions | None) -> int:
    """Return where the passage stands, 11 where it is not among the first ten."""
    found = (
        index.search(question, k=10)
        if how is None
        else questions.search(question, k=10, questions=how)
    )
    return next((at for at, hit in enumerate(found, 1) if hit.id == identity), 11)


WAYS = {
    "passages alone": None,
    "questions alone": QuestionOptions(use_passages=False),
    "both": QuestionOptions(),
}
ranks = {
    way: [rank_of(question, identity, how) for question, identity in NEW.items()]
    for way, how in WAYS.items()
}
first = {way: sum(rank == 1 for rank in places) for way, places in ranks.items()}
for way, count in first.items():
    print(f"{way:16} {count} of {len(NEW)} in first place")

# %%
figure, axes = plt.subplots(figsize=(6, 3))
for way, places in ranks.items():
    within = [sum(rank <= most for rank in places) for most in range(1, 11)]
    axes.plot(range(1, 11), within, marker="o", label=way)
axes.set_xlabel("among the first")
axes.set_ylabel(f"found, of {len(NEW)}")
axes.legend()
figure.tight_layout()

# %% [markdown]
# A hit names the question that found it, and how much that added.

# %%
questions.search("dairy gives me wind and diarrhoea", k=3, explain=True)

# %% [markdown]
# ## Questions that a model writes
#
# A passage without a question can get some. Here it is a passage that is new, and the reply is scripted.
# With a real model, leave out the filter: `generate` goes through all passages that have no questions yet.

# %%
ALCOHOL = (
    "Alcohol dependence syndrome is treated by assisted withdrawal with a reducing regimen of a "
    "benzodiazepine; acamprosate or naltrexone supports abstinence. Thiamine prevents "
    "Wernicke's encephalopathy."
)
index.add([Chunk(ALCOHOL, id="en-alcohol", metadata={"asked": "by nobody"})])
ASKED = "my hands shake when I get up and a beer makes it go away"
before = rank_of(ASKED, "en-alcohol", WAYS["both"])
report = questions.generate(
    chat, prompts=QuestionPrompts(refine=False), filter={"asked": "by nobody"}
)
after = rank_of(ASKED, "en-alcohol", WAYS["both"])
print(f"rank {before} before, {after} after")
report

# %% [markdown]
# ## What users say
#
# Somebody asks, and the answer is not what they need. One click each says which passage was bad and which was good.

# %%
COMPLAINT = "my washing machine is broken again"
WANTED = "en-warranty"
found = questions.search(COMPLAINT, k=3)
found

# %%
for hit in found:
    if hit.id != WANTED:
        questions.add_feedback(COMPLAINT, hit.id, "bad")
questions.add_feedback(COMPLAINT, WANTED, "good")

# %% [markdown]
# It counts for that question and for those that are very much like it. No other search changes.

# %%
AGAIN = "the washing machine has broken down again"
questions.search(AGAIN, k=3, explain=True)

# %% [markdown]
# A verdict can be left out of a search, and taken back.

# %%
without = rank_of(AGAIN, WANTED, QuestionOptions(use_feedback=False))
with_it = rank_of(AGAIN, WANTED, QuestionOptions())
print(f"rank {without} without feedback, {with_it} with it")
unlike, before_verdicts = (
    [rank_of(question, identity, how) for question, identity in NEW.items()]
    for how in (QuestionOptions(), QuestionOptions(use_feedback=False))
)

# %% [markdown]
# ## What must hold

# %%
assert stored == len(faq)
assert first["both"] > first["passages alone"]
assert report.written == 1
assert after < before
assert with_it == 1
assert with_it <= without
assert unlike == before_verdicts
index.close()
