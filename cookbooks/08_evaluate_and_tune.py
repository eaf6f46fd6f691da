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
# # Evaluate, compare, tune, explain
#
# **You learn** how well each way to search finds what people ask for, and how much of a difference is chance.
# Then you choose a way to search on one half of the questions, and judge it on the other.
#
# **You need** `pip install 'trivec[mini,evaluation,plots]'` and the folder `lay` beside this notebook. No key, no network.
#
# **Time**: ten minutes to read, a minute or two to run.

# %% [markdown]
# ## Settings
#
# As it stands, the notebook runs offline: `mini` is a small real model.
# Set `REAL = True` for BGE-M3. This needs `pip install 'trivec[flag,evaluation,plots]'`.

# %%
from pathlib import Path
from tempfile import mkdtemp

import matplotlib.pyplot as plt

from trivec import load_encoder
from trivec.evaluation import (
    EvaluationOptions,
    System,
    compare,
    default_systems,
    evaluate,
    explain_passage,
    failures,
    indexed,
    load_options,
    read_dataset,
    save_settings,
    slices,
    tune,
)

REAL = False

LAY = Path("lay")
FOLDER = Path(mkdtemp())  # a folder of your own keeps indexes and results
OPTIONS = EvaluationOptions(timed=10)

encoder = load_encoder("BAAI/bge-m3" if REAL else "mini")

# %% [markdown]
# ## Questions whose answers are known
#
# The folder `lay` is in BEIR's form. People ask in their own words; the passages are in those of doctors and lawyers,
# in English and Chinese. One half of the questions is for choosing, the other for judging.
# What is wrong with a dataset is in `faults`.

# %%
choosing = read_dataset(LAY, split="choose")
judging = read_dataset(LAY, split="report")
for half in (choosing, judging):
    print(len(half.questions), "questions,", len(half.passages), "passages", *half.faults)
print(choosing.questions[0].text)

# %% [markdown]
# ## Every arm and every hybrid
#
# `indexed` encodes the passages once. `evaluate` asks all questions in every way.
# The interval is a bootstrap by document, and p a randomisation test, corrected for the number of pairs.

# %%
with indexed(choosing, encoder, FOLDER) as index:
    evaluation = evaluate(choosing, index, default_systems(index.schema), OPTIONS)

estimates = evaluation.estimates("nDCG@10")
for name, estimate in sorted(estimates.items(), key=lambda item: -item[1].mean):
    print(f"{name:34} {estimate.mean:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]")

# %%
names = list(estimates)
means = [estimates[name].mean for name in names]
below = [estimates[name].mean - estimates[name].low for name in names]
above = [estimates[name].high - estimates[name].mean for name in names]
figure, axes = plt.subplots(figsize=(7, 4))
axes.errorbar(means, range(len(names)), xerr=[below, above], fmt="o", capsize=3)
axes.set_yticks(range(len(names)), names)
axes.set_xlabel("nDCG@10, with its 95 % interval")
axes.invert_yaxis()
figure.tight_layout()

# %% [markdown]
# ## Where they differ
#
# Words alone fail where question and passage share none. `slices` says on which questions, `failures` says why.

# %%
for part in slices(evaluation):
    print(f"{part.kind}: {part.value} ({part.questions})", end="  ")
    print(*(f"{name} {part.means[name]:.2f}" for name in ("dense", "sparse", "bm25")))

for name in ("dense", "bm25"):
    print(name, {kind: len(found) for kind, found in failures(evaluation, name).items()})

# %% [markdown]
# ## Is one better than the other?
#
# WIN and LOSS need an interval that does not touch 0. Here it is the hybrid against words alone.

# %%
with indexed(judging, encoder, FOLDER) as index:
    hybrid, words = (
        evaluate(judging, index, [System.from_text(line)], OPTIONS) for line in ("hybrid", "bm25")
    )
print({name: round(one.mean, 3) for name, one in hybrid.estimates("nDCG@10").items()})
print({name: round(one.mean, 3) for name, one in words.estimates("nDCG@10").items()})

# %% [markdown]
# `compare` does this in one call, for two models or two indexes. A tuned model is compared with its base so.
# Here a model meets itself, so that nothing can be gained.

# %%
with indexed(judging, encoder, FOLDER) as index:
    itself = compare(judging, index, encoder, names=("again", "before"), folder=FOLDER)
print(itself)

# %% [markdown]
# ## Choose on one half, judge on the other
#
# `tune` tries fusions, weights, depth, ColBERT and thresholds on the questions for choosing.
# Only the figure on the others counts. Where its interval touches 0, there is no gain, and the default stays.

# %%
with indexed(choosing, encoder, FOLDER) as index:
    tuning = tune(choosing, index, options=OPTIONS, held_out=judging)
print(tuning)

# %%
tried = sorted(tuning.trials, key=lambda trial: trial.mean)
figure, axes = plt.subplots(figsize=(7, 3))
axes.plot(range(1, len(tried) + 1), [trial.mean for trial in tried], "o")
axes.set_xticks(range(1, len(tried) + 1, 2))
axes.set_xlabel("ways to search that were tried, worst first")
axes.set_ylabel("nDCG@10 where it was chosen")
figure.tight_layout()

# %% [markdown]
# What was chosen is one line in a file. Searches, the adapters and `trivec search --settings` take it.

# %%
save_settings(tuning.system, FOLDER / "settings.json")
options = load_options(FOLDER / "settings.json")
print(tuning.system)

# %% [markdown]
# ## Why is this one missing?
#
# An explanation says which arm ranked a passage where, and what cut it off, found or not.

# %%
with indexed(judging, encoder, FOLDER) as index:
    lost = [at for found in failures(hybrid, hybrid.names[0]).values() for at in found]
    question = judging.questions[lost[0] if lost else 0]
    (wanted,) = question.relevant
    explanation = explain_passage(index, question.text, wanted)
print(question.text)
print(explanation.reason)
for arm in explanation.arms:
    print(arm)

# %% [markdown]
# ## What must hold

# %%
assert not choosing.faults
assert not judging.faults
assert evaluation.estimates("nDCG@10")["dense"].mean > evaluation.estimates("nDCG@10")["bm25"].mean
assert itself.word == "TIE"
assert itself.comparison.delta.mean == 0
assert tuning.chosen_by + tuning.held_out == 108
assert tuning.gained == (tuning.system != System())
assert options == tuning.system.search
assert explanation.id == wanted
