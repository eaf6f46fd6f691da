"""The README's five commands, from a folder of documents to a tuned model and a verdict."""

from __future__ import annotations

import json
import re
import shlex

import pytest

pytest.importorskip("torch")
pytest.importorskip("FlagEmbedding")
pytest.importorskip("datasketch")

MACHINES = (
    *("Kestrel", "Heron", "Merlin", "Osprey", "Falcon", "Condor", "Plover", "Petrel", "Curlew"),
    *("Avocet", "Dunlin", "Godwit", "Bittern", "Grebe", "Harrier", "Lapwing", "Ouzel", "Pipit"),
)
PARTS = ("pump", "filter", "boiler", "grinder")


def sentences(number: int, name: str) -> list[str]:
    """Return what a handbook says of a machine; a paragraph for each part."""
    return [
        f"The {part} of the {name} is made of material {number + at}. Clean it every "
        f"{number % 5 + at + 2} weeks, and replace it after {number + 3 * at + 1} months. Its "
        f"spare part has the number {100 * number + at}, and costs {10 + number + at} euros."
        for at, part in enumerate(PARTS)
    ]


def written(body: dict) -> str:
    """Stand for a language model that asks what a passage answers."""
    passage = body["messages"][1]["content"]
    found = re.search(r"The (\w+) of the (\w+) is", passage)
    assert found, passage
    part, name = found.groups()
    asked = [
        f"how often should I clean the {part} of my {name}?",
        f"what does a new {part} for the {name} cost?",
        f"when does the {name} need another {part}?",
    ]
    return json.dumps({"questions": asked})


@pytest.mark.model
def test_five_commands_lead_from_documents_to_a_verdict(
    command_line, openai_server, tmp_path, monkeypatch, repository
):
    notes = tmp_path / "notes"
    notes.mkdir()
    for number, name in enumerate(MACHINES):
        text = "\n\n".join(
            f"## {name} {at}\n\n{one}" for at, one in enumerate(sentences(number, name))
        )
        (notes / f"{name.lower()}.md").write_text(f"# {name}\n\n{text}\n", "utf-8")
    openai_server.otherwise = written
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.chdir(tmp_path)
    readme = (repository / "README.md").read_text("utf-8")
    block = next(
        one for one in re.findall(r"```bash\n(.*?)```", readme, re.DOTALL) if "finetune" in one
    )
    lines = [line for line in block.splitlines() if line.startswith("trivec ")]
    assert len(lines) == 5
    for line in lines:
        arguments = shlex.split(line.replace("http://localhost:8000/v1", openai_server.base_url))
        outcome = command_line(*arguments[1:])
        kept_back = arguments[1] == "finetune" and outcome.code == 3
        assert outcome.code == 0 or kept_back, f"{line}: {outcome.err}"
        if kept_back:  # a model that became worse is no defect of the road: go on with it
            command_line(*arguments[1:], "--force")
    assert re.match(r"(training: )?(WIN|TIE|LOSS|MARGINAL|REGRESSION)", outcome.out), outcome.out
    run = json.loads((tmp_path / "tuned.run" / "run.json").read_text("utf-8"))
    first, last = run["outcome"]["losses"]
    assert last < first
    assert (tmp_path / "tuned" / "sparse_linear.pt").is_file()
