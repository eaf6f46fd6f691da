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
# # A model on a CPU: export, int8, what it costs and gains
#
# **You learn** how to write a model down as a graph that ONNX Runtime runs, in 32 and in 8 bits, without PyTorch.
# Then you measure what 8 bits cost in quality, and what they gain in room, memory and time.
#
# **You need** `pip install 'trivec[mini,evaluation,plots]'` and the folder `lay` beside this notebook. No key, no network.
#
# **Time**: five minutes to read, a minute to run.

# %% [markdown]
# ## Settings
#
# As it stands, the notebook runs offline: `mini` is a small real model.
# Set `REAL = True` for BGE-M3. It downloads 2.3 GB once, and writes 2.9 GB. The install line stays the same: torch is not needed.

# %%
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import mkdtemp

import matplotlib.pyplot as plt

from trivec import HybridIndex, SearchOptions, load_encoder
from trivec.encoders import OnnxEncoder, OnnxOptions
from trivec.evaluation import System, evaluate, indexed, read_dataset
from trivec.exporting import ExportOptions, export_encoder
from trivec.mini import MiniEncoder

REAL = False

LAY = Path("lay")
FOLDER = Path(mkdtemp())  # a folder of your own keeps the export
PRECISIONS = ("fp32", "int8")

if REAL:
    from trivec.encoders import FlagEncoder

    original = FlagEncoder("BAAI/bge-m3")  # its files are read; it is not run
else:
    original = MiniEncoder()

# %% [markdown]
# ## Export
#
# One folder holds a graph for each precision, the tokenizer and a manifest. You can copy it to other machines.
# The export compares int8 with fp32 on texts, and writes the agreement into the manifest. Take texts of your own.

# %%
dataset = read_dataset(LAY, split="report")
texts = [passage.text for passage in dataset.passages]
manifest = export_encoder(
    original,
    FOLDER / "model",
    options=ExportOptions(precisions=PRECISIONS, texts=tuple(texts[:12])),
)
near = manifest.precisions["int8"]
print(f"dense: mean cosine {near.dense_cosine_mean:.4f}, worst {near.dense_cosine_least:.4f}")
print(f"learned sparse: {near.sparse_top10_shared:.0%} of the ten heaviest tokens are the same")

# %% [markdown]
# An encoder opens one precision of it. `precision="auto"`, the default, takes the one that is best on this CPU.

# %%
encoders = {
    precision: OnnxEncoder(FOLDER / "model", options=OnnxOptions(precision=precision, threads=1))
    for precision in PRECISIONS
}
print(load_encoder(FOLDER / "model").info.precision, "is what auto takes here")

# %% [markdown]
# ## Room on the disk
#
# A weight of a matrix takes one byte instead of four.

# %%
megabytes = {
    precision: sum(
        size / 1e6 for name, (size, _) in manifest.files.items() if precision in Path(name).name
    )
    for precision in PRECISIONS
}
print({precision: f"{size:.0f} MB" for precision, size in megabytes.items()})

# %% [markdown]
# ## Time
#
# The time of one processor core, best of several runs. What else the machine does then counts little.
# Long texts gain less than short ones: attention stays in 32 bits.


# %%
def seconds(encode: Callable[[Sequence[str]], object], given: Sequence[str], runs: int) -> float:
    """Return the processor time of the quickest run."""
    best = float("inf")
    for _ in range(runs):
        started = time.process_time()
        encode(given)
        best = min(best, time.process_time() - started)
    return best


QUESTION = dataset.questions[0].text
times = {}
for precision, encoder in encoders.items():
    encoder.load()
    times[precision, "one question"] = seconds(encoder.encode_queries, [QUESTION], 9)
    times[precision, "10 passages"] = seconds(encoder.encode_documents, texts[:10], 3)
for (precision, what), value in times.items():
    print(f"{precision} {what:14} {value * 1000:7.1f} ms")

# %% [markdown]
# ## Start and memory
#
# A process of its own loads the model and encodes one question. `ru_maxrss` is the most memory that it held.

# %%
PROGRAM = """
import json, resource, sys, time
started = time.perf_counter()
from trivec.encoders import OnnxEncoder, OnnxOptions
folder, precision, question = sys.argv[1:]
OnnxEncoder(folder, options=OnnxOptions(precision=precision)).encode_queries([question])
unit = 1 if sys.platform == "darwin" else 1024
held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
print(json.dumps({"seconds": time.perf_counter() - started, "megabytes": held / 1e6}))
"""
# on Linux a new process begins with the memory of the one that started it: so a small one does
STARTER = "import subprocess, sys; subprocess.run(sys.argv[1:], check=True)"
processes = {}
for precision in PRECISIONS:
    arguments = [sys.executable, "-c", PROGRAM, str(FOLDER / "model"), precision, QUESTION]
    command = [sys.executable, "-c", STARTER, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    processes[precision] = json.loads(done.stdout)
    print(precision, {name: round(value, 2) for name, value in processes[precision].items()})

# %% [markdown]
# ## Quality
#
# 53 questions in lay words on medicine and law, in English and Chinese. Each arm alone, then the hybrid.
# BM25 needs no model, and so cannot lose. Lay words match little, so that the hybrid leaves the choice to the dense arm.

# %%
SYSTEMS = {
    "dense": System(search=SearchOptions(arms=("dense",))),
    "learned sparse": System(search=SearchOptions(arms=("sparse",))),
    "multi-vector": System(search=SearchOptions(arms=("colbert",))),
    "hybrid": System(),
}
evaluations = {}
for precision, encoder in encoders.items():
    with indexed(dataset, encoder, FOLDER / precision) as index:
        evaluations[precision] = evaluate(dataset, index, list(SYSTEMS.values()))
quality = {
    (precision, name): evaluations[precision].estimates("nDCG@10")[str(system)].mean
    for precision in PRECISIONS
    for name, system in SYSTEMS.items()
}
for name in SYSTEMS:
    print(
        f"{name:16}", *(f"{precision} {quality[precision, name]:.3f}" for precision in PRECISIONS)
    )

# %%
figure, (costs, found) = plt.subplots(1, 2, figsize=(10, 3.4))
shares = {
    "room": megabytes["int8"] / megabytes["fp32"],
    "memory": processes["int8"]["megabytes"] / processes["fp32"]["megabytes"],
    "question": times["int8", "one question"] / times["fp32", "one question"],
    "passages": times["int8", "10 passages"] / times["fp32", "10 passages"],
}
costs.bar(list(shares), list(shares.values()))
costs.axhline(1, color="black", linewidth=0.8)
costs.set_title("int8, as a share of fp32: lower is cheaper")
for at, precision in enumerate(PRECISIONS):
    heights = [quality[precision, name] for name in SYSTEMS]
    found.bar([place + 0.36 * at for place in range(len(SYSTEMS))], heights, 0.34, label=precision)
found.set_xticks([place + 0.18 for place in range(len(SYSTEMS))], list(SYSTEMS))
found.set_title("nDCG@10: higher is better")
found.set_ylim(0, 1)
found.legend(loc="upper right")
figure.tight_layout()

# %% [markdown]
# ## An index of the one, searched by the other
#
# Precision is part of what an index remembers of its model. Where the agreement is good, int8 may search what fp32 wrote.
# So a server can write in fp32, and a laptop can search in int8. Say so by `mixed_precision=True`.

# %%
hybrid = SYSTEMS["hybrid"]
place = next((FOLDER / "fp32").iterdir())
with HybridIndex.open(place, encoders["int8"], mixed_precision=True) as index:
    mixed = evaluate(dataset, index, [hybrid]).estimates("nDCG@10")[str(hybrid)].mean
print(f"hybrid, written in fp32 and searched in int8: {mixed:.3f}")

# %% [markdown]
# - **Room and memory** shrink most, and on every CPU.
# - **Time** depends on the CPU: how fast it multiplies bytes. `trivec info` says what was measured on yours.
# - **Quality** hardly changes. Measure it on your own questions all the same: `trivec eval`.

# %% [markdown]
# ## What must hold

# %%
assert near.dense_cosine_mean > 0.99
assert near.sparse_top10_shared > 0.9
assert megabytes["int8"] < 0.3 * megabytes["fp32"]
assert processes["int8"]["megabytes"] < processes["fp32"]["megabytes"]
assert times["int8", "10 passages"] < 1.2 * times["fp32", "10 passages"]
assert all(quality["int8", name] > quality["fp32", name] - 0.03 for name in SYSTEMS)
assert mixed > quality["fp32", "hybrid"] - 0.03
