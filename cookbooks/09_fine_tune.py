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
# # Tune a model to your own documents
#
# **You learn** how trivec tunes a model by questions and passages, and how an index moves to it.
# The same examples then go to sentence-transformers, LlamaIndex and FlagEmbedding.
#
# **You need** `pip install 'trivec[mini,finetune,evaluation,files,plots]'` and the folder `handbook` beside this notebook. No key, no network.
#
# **Time**: ten minutes to read, one minute to run.

# %% [markdown]
# ## Settings
#
# As it stands, the notebook tunes `mini` for some steps on a CPU. That shows the road alone: so few questions gain nothing.
# Set `REAL = True` for files of your own, as `trivec questions` and the other commands of `docs/training-data.md` write them.

# %%
import json
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp

import matplotlib.pyplot as plt

from trivec import HybridIndex, load_encoder
from trivec.ingest import chunks
from trivec.training import (
    FinetuneData,
    FinetuneOptions,
    finetune,
    mix_models,
    prune_model,
    reindex,
)
from trivec.training.data import TrainingExample, read_examples, write_examples

REAL = False

FOLDER = Path("handbook")
WORK = Path(mkdtemp())  # a folder of your own keeps the models

# %% [markdown]
# ## Examples: question -> passage
#
# Retrieval leads from a question to a passage, and so do the examples. Pairs of a question and its *answer* would teach something else:
# no answer stands alone in your documents. Each example also has passages that do not answer, the hard negatives.

# %%
QUESTIONS = {
    "what does the machine say when its pump is dry?": "E4",
    "which fault needs the tank to be filled?": "E4",
    "for how many years am I covered?": "warranty",
    "who pays for damage by limescale?": "warranty",
    "how do I get rid of scale?": "scal",
    "滤网怎么洗？": "滤网",
    "蒸汽管要怎么擦？": "蒸汽管",
}
encoder = load_encoder("mini")
passages = [chunk.text for chunk in chunks([FOLDER], encoder.tokenizer, root=FOLDER, max_tokens=64)]
examples = []
for question, word in QUESTIONS.items():
    right = [text for text in passages if word.lower() in text.lower()][:1]
    wrong = [text for text in passages if word.lower() not in text.lower()][:3]
    examples.append(TrainingExample(query=question, pos=tuple(right), neg=tuple(wrong)))
write_examples(WORK / "train.jsonl", examples)
print(len(passages), "passages,", len(examples), "examples")

# %% [markdown]
# ## A smaller model first
#
# 96 of `mini`'s 118 million weights are word embeddings, of a hundred languages. Those of this handbook need a few thousand tokens.

# %%
pruned = prune_model("mini", WORK / "small", [*passages, *QUESTIONS])
print(f"{pruned.tokens:,} of {pruned.of:,} tokens, {pruned.weight_bytes / 1e6:.0f} MB")

# %% [markdown]
# ## Tune it
#
# `part="top"` teaches the last layers and both heads. The output of the layers below is computed once.
# `mix` takes a part of the tuned weights, the rest is the base's, so that less is forgotten.

# %%
train = list(read_examples("training/train.jsonl" if REAL else WORK / "train.jsonl"))
options = FinetuneOptions(part="top", layers=2, epochs=4, batch_size=4, mix=0.8)
tuned = finetune(FinetuneData(train=train), pruned.folder, WORK / "tuned", options=options)
print(
    f"{tuned.steps} steps in {tuned.seconds:.0f} s, loss {tuned.losses[0]:.3f} -> {tuned.losses[1]:.3f}"
)
half = mix_models(pruned.folder, tuned.folder, WORK / "half", share=0.5)

# %% [markdown]
# The run's folder keeps the losses of each step. They swing, since each batch has questions of its own.
# Here they are nearly 0 soon: so few questions are known by heart.

# %%
lines = (tuned.run / "losses.jsonl").read_text("utf-8").splitlines()
steps = [json.loads(line) for line in lines]
figure, axes = plt.subplots(figsize=(6, 3))
for name in steps[0]["losses"]:
    losses = [step["losses"][name] for step in steps]
    axes.plot(range(1, len(steps) + 1), losses, marker="o", label=name)
axes.set_xlabel("step")
axes.set_ylabel("loss")
axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
figure.tight_layout()

# %% [markdown]
# ## Use it
#
# The folder says its pooling and its instructions, and every loader reads them. An index moves to the model from the text that it holds.

# %%
with HybridIndex.open(WORK / "kb", encoder) as index:
    index.add(chunks([FOLDER], encoder.tokenizer, root=FOLDER, max_tokens=64))
moved = reindex(WORK / "kb", load_encoder(tuned.folder))
with HybridIndex.open(WORK / "kb", load_encoder(tuned.folder)) as index:
    hits = index.search("for how many years am I covered?", k=1)
print(moved.passages, "passages moved;", hits[0].text[:60])

# %% [markdown]
# Whether a tuned model is better, `trivec compare tuned mini questions.json` says, arm by arm, with intervals drawn by document.
#
# ## The same examples elsewhere
#
# **sentence-transformers** takes such a folder as it is; here with the triplet loss.
# Only the dense vector learns. The sparse and the ColBERT head stay as they were, while the layers below them change.

# %%
from datasets import Dataset
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.losses import TripletLoss

model = SentenceTransformer(str(pruned.folder), device="cpu")
triplets = [
    {
        "anchor": f"query: {one.query}",
        "positive": f"passage: {one.pos[0]}",
        "negative": f"passage: {one.neg[0]}",
    }
    for one in train
]
arguments = SentenceTransformerTrainingArguments(
    output_dir=str(WORK / "triplets"),
    max_steps=2,
    per_device_train_batch_size=2,
    report_to="none",
    save_strategy="no",
    use_cpu=True,
    disable_tqdm=True,
)
trainer = SentenceTransformerTrainer(
    model=model, args=arguments, train_dataset=Dataset.from_list(triplets), loss=TripletLoss(model)
)
triplet_loss = trainer.train().training_loss
print(f"triplet loss {triplet_loss:.2f}")

# %% [markdown]
# **LlamaIndex** has an engine around it, with in-batch negatives: `pip install llama-index-finetuning`.

# %%
if find_spec("llama_index") and find_spec("llama_index.finetuning"):
    from llama_index.core.evaluation import EmbeddingQAFinetuneDataset
    from llama_index.finetuning import SentenceTransformersFinetuneEngine

    numbers = {text: f"p{at}" for at, text in enumerate(passages)}
    engine = SentenceTransformersFinetuneEngine(
        EmbeddingQAFinetuneDataset(
            queries={f"q{at}": one.query for at, one in enumerate(train)},
            corpus={number: text for text, number in numbers.items()},
            relevant_docs={f"q{at}": [numbers[one.pos[0]]] for at, one in enumerate(train)},
        ),
        model_id=str(pruned.folder),
        model_output_path=str(WORK / "llama_index"),
        epochs=1,
        batch_size=4,
    )
    if REAL:  # a minute more
        engine.finetune()

# %% [markdown]
# **FlagEmbedding** trains all three heads with self-distillation, one process for each GPU. trivec starts torchrun with the same settings:
#
# ```python
# from trivec.training import FlagTrainerOptions, train_with_flag_embedding
#
# train_with_flag_embedding(
#     "train.jsonl", "BAAI/bge-m3", "tuned", options=options, trainer=FlagTrainerOptions(processes=8)
# )
# ```
#
# On a command line: `trivec finetune training --model BAAI/bge-m3 --output tuned --trainer m3 --processes 8`.

# %% [markdown]
# ## What must hold

# %%
assert pruned.tokens < pruned.of
assert tuned.in_place
assert tuned.losses[1] < tuned.losses[0]
assert len(steps) == tuned.steps
assert (half / "sparse_linear.pt").is_file()
assert moved.passages == moved.encoded
assert "years" in hits[0].text
