"""A small model learns by its heads and by LoRA, is mixed, pruned, and loaded again.

smoke_finetune.py FOLDER [WHERE LOSSES ARE SHOWN ...]
"""

import os
import sys
from pathlib import Path

from trivec import load_encoder
from trivec.testing.backbone import SENTENCES
from trivec.training import FinetuneData, FinetuneOptions, finetune
from trivec.training.data import TrainingExample

model, *places = sys.argv[1:]
os.environ |= {"WANDB_MODE": "offline", "WANDB_SILENT": "true"}
examples = [
    TrainingExample(query=text[:20], pos=(text,), neg=(SENTENCES[at - 3],), source=f"d{at}")
    for at, text in enumerate(SENTENCES[:8])
]
for part in ("heads", "lora"):
    options = FinetuneOptions(
        part=part, epochs=2, batch_size=4, precision="fp32", passage_max_length=32,
        report_to=tuple(places),
    )  # fmt: skip
    tuned = finetune(FinetuneData(train=examples), model, Path(part), options=options)
    assert tuned.losses[1] < tuned.losses[0], (part, tuned.losses)
    (encoding,) = load_encoder(tuned.folder).encode_queries(["the river"])
    assert encoding.dense.any()
    if "tensorboard" in places:
        assert list((tuned.run / "tensorboard").glob("events.*"))
    if "wandb" in places:
        assert list((tuned.run / "wandb").glob("offline-run-*"))
