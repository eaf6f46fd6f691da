"""A question of the training set that judges the model too is found, though it is worded anew."""

import json
from pathlib import Path

from trivec.training.data import find_leaks

QUESTIONS = {
    "train": "how long does the battery of the red lamp last in the winter months",
    "dev": "how long does the battery of the red lamp last in the winter month",
    "test": "who wrote the first letter to the editor",
}
folder = Path("training")
folder.mkdir()
for split, question in QUESTIONS.items():
    example = {"query": question, "pos": [f"a passage of {split}"], "source": f"{split}.md"}
    (folder / f"{split}.jsonl").write_text(json.dumps(example), "utf-8")
leaks = find_leaks(folder)
assert [(leak.kind, leak.split) for leak in leaks] == [("question", "dev")], leaks
