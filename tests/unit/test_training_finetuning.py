"""``finetune`` on a tiny random model: what learns, what is saved, and going on after a stop."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("FlagEmbedding")

from trivec.encoders import FlagEncoder, FlagOptions, OnnxEncoder, OnnxOptions  # noqa: E402
from trivec.encoders.model_folder import inspect_folder  # noqa: E402
from trivec.encoders.stated import StatedUsage  # noqa: E402
from trivec.errors import InputError, ModelError  # noqa: E402
from trivec.testing.backbone import SENTENCES  # noqa: E402
from trivec.training import FinetuneData, FinetuneOptions, finetune  # noqa: E402
from trivec.training.data import TrainingExample, general_examples  # noqa: E402
from trivec.training.losses import losses_of, scores_of  # noqa: E402
from trivec.training.session import SHARES, Session, chosen_share  # noqa: E402
from trivec.training.states import States  # noqa: E402

OPTIONS = FinetuneOptions(
    epochs=3,
    batch_size=4,
    learning_rate=1e-3,
    precision="fp32",
    passage_max_length=64,
    checkpoint_every=2,
    layers=1,
    report_to=(),
)
EXAMPLES = [
    TrainingExample(
        query=" ".join(text.split()[:4])[:20],
        pos=(text,),
        neg=(SENTENCES[at - 3],),
        source=f"d{at}",
    )
    for at, text in enumerate(SENTENCES)
]
DATA = FinetuneData(train=EXAMPLES[:12])


@pytest.fixture
def run(tiny_m3, tmp_path):
    def of(data=DATA, output="tuned", **changes):
        force = changes.pop("force", False)
        progress = changes.pop("progress", None)
        options = replace(OPTIONS, **changes)
        return finetune(
            data, tiny_m3, tmp_path / output, options=options, force=force, progress=progress
        )

    return of


def weights_of(folder):
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def head_of(folder, name="sparse_linear.pt"):
    return torch.load(folder / name, weights_only=True)["weight"]


@pytest.mark.parametrize("part", ["heads", "top", "encoder", "lora"])
def test_the_loss_falls_and_what_was_asked_for_learns(run, tiny_m3, part):
    tuned = run(part=part, epochs=8, weights=(1.0, 1.0, 0.5))
    assert tuned.losses[1] < tuned.losses[0]
    before, after = weights_of(tiny_m3), weights_of(tuned.folder)
    changed = {name for name, one in before.items() if not torch.equal(one, after[name])}
    layers = {name.split(".")[2] for name in changed if name.startswith("encoder.layer")}
    assert before.keys() == after.keys()
    assert layers == {"heads": set(), "top": {"1"}}.get(part, {"0", "1"})
    assert not [name for name in changed if name.startswith("embeddings")]
    assert not torch.equal(head_of(tiny_m3), head_of(tuned.folder))


def test_a_weight_of_0_leaves_a_head_alone(run, tiny_m3):
    tuned = run(weights=(1.0, 0.0, 1.0))
    assert torch.equal(head_of(tiny_m3), head_of(tuned.folder))
    colbert = "colbert_linear.pt"
    assert not torch.equal(head_of(tiny_m3, colbert), head_of(tuned.folder, colbert))


def test_every_backend_loads_the_folder_and_gives_the_same_vectors(run):
    tuned = run()
    first = FlagEncoder(tuned.folder)
    other = OnnxEncoder(tuned.folder, options=OnnxOptions(precision="fp32"))
    assert replace(first.info, precision="fp32") == other.info
    for one, two in zip(
        first.encode_documents(SENTENCES[:4]), other.encode_documents(SENTENCES[:4]), strict=True
    ):
        np.testing.assert_allclose(one.dense, two.dense, atol=1e-4)
        np.testing.assert_allclose(one.colbert, two.colbert, atol=1e-4)
        np.testing.assert_array_equal(one.sparse.indices, two.sparse.indices)


def test_pooling_and_instructions_stay_in_the_folder(tiny_m3, tmp_path):
    from trivec.training.saving import write_usage

    (tmp_path / "model").mkdir()
    for file in tiny_m3.iterdir():
        (tmp_path / "model" / file.name).write_bytes(file.read_bytes())
    write_usage(tmp_path / "model", StatedUsage("mean", "query: ", "passage: "), 32)
    tuned = finetune(DATA, tmp_path / "model", tmp_path / "tuned", options=OPTIONS)
    asked = FlagOptions(
        pooling="mean", query_instruction="query: ", passage_instruction="passage: "
    )
    flag, onnx = FlagEncoder(tuned.folder), OnnxEncoder(tuned.folder)
    assert flag.info == FlagEncoder(tuned.folder, options=asked).info
    assert (onnx.info.pooling, onnx.info.query_instruction) == ("mean", "query: ")
    plain = FlagEncoder(tuned.folder, options=FlagOptions(pooling="cls", query_instruction=""))
    assert plain.info.pooling == "cls"
    assert not plain.info.query_instruction


def test_the_base_reads_every_text_once(tiny_m3, tmp_path, monkeypatch):
    read = Counter()

    def counted(self, numbers, original=States.outputs):
        read.update(numbers)
        return original(self, numbers)

    monkeypatch.setattr(States, "outputs", counted)
    data = FinetuneData(train=EXAMPLES[:8], development=EXAMPLES[8:10], general=EXAMPLES[10:12])
    session = Session(data, inspect_folder(tiny_m3), StatedUsage(), OPTIONS, tmp_path)
    session.prepare(bf16=False, progress=lambda *_: None)
    assert read == dict.fromkeys(range(len(session.texts)), 1)


@pytest.mark.parametrize(("part", "near"), [("encoder", 2e-4), ("top", 5e-3)])
def test_scores_are_those_of_the_product(tiny_m3, tmp_path, part, near):
    options = replace(OPTIONS, part=part)  # of "top" lower states are kept in half precision
    session = Session(
        FinetuneData(train=EXAMPLES), inspect_folder(tiny_m3), StatedUsage(), options, tmp_path
    )
    session.prepare(bf16=False, progress=lambda *_: None)
    queries, passages = [one.query for one in EXAMPLES[:5]], list(SENTENCES[:6])
    states = session._states
    with torch.no_grad():
        scores = scores_of(
            states.outputs([session.texts.query(text) for text in queries]),
            states.outputs([session.texts.passage(text) for text in passages]),
            session.unused,
        )
    wanted = FlagEncoder(tiny_m3).similarity(queries, passages)
    for arm in ("dense", "sparse", "colbert"):
        np.testing.assert_allclose(scores[arm].numpy(), getattr(wanted, arm), atol=near)


def test_scores_are_exact_in_bf16_too():
    from trivec.training.network import Outputs

    generator = torch.Generator().manual_seed(0)
    dense = torch.nn.functional.normalize(torch.rand(9, 32, generator=generator), dim=-1)
    counts, ids = torch.ones(9, dtype=torch.long), torch.arange(9)
    outputs = Outputs(dense, torch.rand(9, generator=generator), dense, ids, counts)
    with torch.autocast("cpu", torch.bfloat16):
        found = scores_of(outputs, outputs, torch.tensor([0]))
    exact = scores_of(outputs, outputs, torch.tensor([0]))
    for arm, scores in exact.items():
        assert torch.equal(scores, found[arm]), arm


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("part", ["top", "lora"])
def test_going_on_after_a_stop_equals_never_having_stopped(run, part):
    def stop(stage, done, _total):
        if stage == "steps" and done == 5:
            raise StoppedError

    whole = run(output="whole", part=part)
    with pytest.raises(StoppedError):
        run(output="parts", part=part, progress=stop)
    steps = []
    tuned = run(
        output="parts",
        part=part,
        progress=lambda stage, done, _: steps.append(done) if stage == "steps" else None,
    )
    assert steps[0] == 5  # the state after step 4 was the last one written
    first, second = weights_of(whole.folder), weights_of(tuned.folder)
    assert all(torch.equal(one, second[name]) for name, one in first.items())
    assert torch.equal(head_of(whole.folder), head_of(tuned.folder))

    def losses(one):
        lines = (one.run / "losses.jsonl").read_text().splitlines()
        return [json.loads(line)["losses"] for line in lines]

    assert losses(whole) == losses(tuned)


def test_a_stopped_training_of_other_data_is_not_gone_on_with(run):
    def stop(stage, done, _total):
        if stage == "steps" and done == 3:
            raise StoppedError

    with pytest.raises(StoppedError):
        run(progress=stop)
    with pytest.raises(InputError, match="other data"):
        run(FinetuneData(train=EXAMPLES[:10]))
    assert run(FinetuneData(train=EXAMPLES[:10]), force=True).examples == 10


def test_an_examples_own_prompt_stands_before_its_query(tiny_m3, tmp_path):
    prompted = [EXAMPLES[0], replace(EXAMPLES[0], prompt="find: "), EXAMPLES[1]]
    session = Session(
        FinetuneData(train=prompted), inspect_folder(tiny_m3), StatedUsage(), OPTIONS, tmp_path
    )
    plain, asked = (session.texts.query(one.query, one.prompt) for one in prompted[:2])
    assert plain != asked
    first, second = session.texts.tokens[plain], session.texts.tokens[asked]
    assert second.start > first.start
    assert second.ids[second.start :].tolist() == first.ids[first.start :].tolist()


def test_the_seed_alone_decides(run):
    first, second, other = run(output="a"), run(output="b"), run(output="c", seed=1)
    assert torch.equal(head_of(first.folder), head_of(second.folder))
    assert not torch.equal(head_of(first.folder), head_of(other.folder))


def test_the_run_says_what_was_done(run, tiny_m3):
    tuned = run(FinetuneData(train=EXAMPLES[:12], development=EXAMPLES[12:]), mix=0.5, force=True)
    told = json.loads((tuned.run / "run.json").read_text())
    assert told["options"]["seed"] == 0
    assert told["model"] == str(tiny_m3)
    assert told["versions"]["torch"]
    assert len(told["data"]["train"]) == 64
    assert told["outcome"]["share"] == 0.5
    assert {one["arm"] for one in told["outcome"]["judgements"]} == {"dense", "sparse"}
    names = {one.name for one in tuned.run.iterdir()}
    assert names == {"run.json", "losses.jsonl", "checkpoint.pt"}


def test_a_regression_is_kept_back(run, tiny_m3, tmp_path):
    # queries are taught to want another passage than the one that answers them
    wrong = [replace(one, pos=one.neg, neg=one.pos) for one in EXAMPLES]
    easy = [TrainingExample(query=text, pos=(text,), source=text) for text in SENTENCES]
    data = FinetuneData(train=wrong, development=easy)
    given = {"epochs": 8, "learning_rate": 1e-2, "false_negative_margin": None}
    tuned = run(data, **given)
    assert [one.arm for one in tuned.regressed]
    assert not tuned.in_place
    assert not (tmp_path / "tuned").exists()
    assert inspect_folder(tuned.folder)
    steps = []
    forced = run(data, **given, force=True, progress=lambda stage, *_: steps.append(stage))
    assert "steps" not in steps  # it is put in place, and not trained again
    assert forced.in_place
    assert inspect_folder(tmp_path / "tuned")


def test_what_is_there_is_not_replaced_unasked(run, tmp_path):
    run()
    with pytest.raises(InputError, match="exists already"):
        run()
    run(force=True, seed=5)
    assert json.loads((tmp_path / "tuned.run" / "run.json").read_text())["options"]["seed"] == 5


def test_auto_takes_a_share_that_keeps_what_was_known(run):
    data = FinetuneData(train=EXAMPLES[:10], development=EXAMPLES[10:13], general=EXAMPLES[13:])
    tuned = run(data, mix="auto", epochs=4, force=True)
    assert 0 < tuned.share <= 1


def test_each_share_is_judged_by_its_own_weights(run, monkeypatch):
    monkeypatch.setattr("trivec.training.session.SHARES", (0.01, 1.0))
    asked = [replace(one, query=" ".join(one.pos[0].split()[-5:])[-25:]) for one in EXAMPLES[:12]]
    data = replace(DATA, development=asked, general=())
    given = {"epochs": 8, "precision": "bf16", "force": True}
    chosen = run(data, mix="auto", **given)
    assert chosen.share == 1.0
    assert chosen.judgements == run(data, mix=1.0, **given).judgements
    assert chosen.judgements != run(data, mix=0.01, **given).judgements


@pytest.mark.parametrize(
    ("gains", "losses", "share"),
    [
        ((0.03, 0.1, 0.095, 0.08), (), 0.75),  # the largest with nine tenths of the best
        ((0.03, 0.1, 0.095, 0.2), (0.0, 0.002, 0.003, 0.004), 0.75),  # 1.0 loses too much
        ((0.01, 0.02, 0.03, 0.04), (0.004, 0.005, 0.006, 0.007), 0.25),  # all do
        ((-0.02, -0.01, -0.03, -0.04), (), 0.5),  # nothing is gained: the least harm
        ((0.0, 0.0, 0.0, 0.0), (), 1.0),
    ],
)
def test_the_largest_share_that_keeps_the_gain_and_loses_little_is_taken(gains, losses, share):
    by_share = [dict(zip(SHARES, values, strict=False)) for values in (gains, losses)]
    assert chosen_share(*by_share, most_lost=0.003) == share


def test_general_texts_stay_where_the_base_has_them(run, tiny_m3):
    data = replace(DATA, general=EXAMPLES[12:])
    texts = [text for one in EXAMPLES[12:] for text in one.pos]
    base = np.stack([one.dense for one in FlagEncoder(tiny_m3).encode_documents(texts)])

    def moved(keep):
        folder = run(data, f"kept-{keep}", epochs=6, keep=keep).folder
        tuned = np.stack([one.dense for one in FlagEncoder(folder).encode_documents(texts)])
        return 1 - (base * tuned).sum(axis=1).mean()

    assert moved(20.0) < 0.5 * moved(0.0)


def test_the_examples_that_come_with_trivec_are_held_unless_others_are_given(run):
    shipped = run().run
    given = run(replace(DATA, general=()), "without").run

    def told(folder):
        kept = "kept" in json.loads((folder / "losses.jsonl").read_text().splitlines()[0])["losses"]
        return kept, json.loads((folder / "run.json").read_text())["data"]["general"]

    asked = replace(DATA, general=general_examples())
    assert told(shipped) == (True, asked.digests()["general"])
    assert told(given) == (False, hashlib.sha256().hexdigest())


def test_a_general_example_that_the_model_cannot_read_is_left_out(run):
    unread = TrainingExample(query="ᚠᚢᚦ ᚠᚢᚦ ᚠᚢᚦ", pos=("ᚠᚢᚦ ᚠᚢᚦ ᚠᚢᚦ",))
    line = (run(replace(DATA, general=[unread])).run / "losses.jsonl").read_text().splitlines()[0]
    assert "kept" not in json.loads(line)["losses"]


def test_a_tokenizer_of_another_transformers_is_named(run, monkeypatch):
    def refuse(*_, **__):
        raise ValueError("Tokenizer class TokenizersBackend does not exist")  # transformers 4

    monkeypatch.setattr("transformers.AutoTokenizer.from_pretrained", refuse)
    with pytest.raises(ModelError, match=r"TokenizersBackend does not exist.*transformers 5"):
        run()


@pytest.mark.parametrize(
    ("data", "changes", "words"),
    [
        (FinetuneData(train=EXAMPLES[:1]), {}, "two at least"),
        (DATA, {"mix": "auto"}, "development"),
        (DATA, {"part": "top", "layers": 3}, "the model has 2"),
        (DATA, {"part": "heads", "weights": (1.0, 0.0, 0.0)}, "nothing learns"),
        (FinetuneData(train=EXAMPLES[:4], development=EXAMPLES[3:5]), {}, "split by document"),
    ],
)
def test_what_cannot_be_trained_is_refused(run, data, changes, words):
    with pytest.raises(InputError, match=words):
        run(data, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"part": "all"},
        {"epochs": 0},
        {"batch_size": 1},
        {"weights": (0.0, 0.0, 0.0)},
        {"weights": (1.0, -1.0, 1.0)},
        {"learning_rate": 0.0},
        {"mix": 1.5},
        {"report_to": ("paper",)},
    ],
)
def test_options_are_checked(changes):
    with pytest.raises(InputError):
        FinetuneOptions(**changes)


def test_losses_go_to_tensorboard_and_to_wandb_offline(run, monkeypatch):
    pytest.importorskip("tensorboard")
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    tuned = run(report_to=("tensorboard", "wandb"), epochs=1)
    assert list((tuned.run / "tensorboard").glob("events.*"))
    assert list((tuned.run / "wandb").glob("offline-run-*"))


def losses(guide, margin, scores, **changes):
    from trivec.training.batches import Batch

    batch = Batch(
        (0, 1),
        (10, 11, 12),
        (frozenset({10}), frozenset({11, 12})),
        changes.pop("mined", (frozenset(), frozenset())),
        changes.pop("teacher", ({}, {})),
    )
    options = replace(
        OPTIONS,
        false_negative_margin=margin,
        weights=(1.0, 0.0, 0.0),
        temperature=1.0,
        **changes,
    )
    return losses_of({"dense": torch.tensor(scores)}, batch, torch.tensor(guide), options).total


def test_a_false_negative_is_none():
    guide = [[0.5, 0.9, 0.1], [0.1, 0.5, 0.2]]
    wrong = [[0.5, 0.9, 0.1], [0.1, 0.5, 0.2]]
    other = [[0.5, -0.9, 0.1], [0.1, 0.5, 0.9]]  # 12 answers the second query too
    assert losses(guide, 0.0, wrong) == losses(guide, 0.0, other)
    assert losses(guide, None, wrong) > losses(guide, None, other)
    assert losses(guide, 0.45, wrong) < losses(guide, 0.0, wrong)  # 0.1 is too near to 0.5 - 0.45


def test_a_hard_negative_counts_however_near_the_base_holds_it():
    guide = [[0.5, 0.1, 0.9], [0.1, 0.5, 0.2]]
    near, far = [[0.5, 0.1, 0.9], [0.1, 0.5, 0.2]], [[0.5, 0.1, -0.9], [0.1, 0.5, 0.2]]
    assert losses(guide, 0.0, near) == losses(guide, 0.0, far)
    mined = {"mined": (frozenset({2}), frozenset())}
    assert losses(guide, 0.0, near, **mined) > losses(guide, 0.0, far, **mined)


def test_a_teacher_is_followed():
    teacher = ({0: 5.0, 2: 0.0}, {})
    guide = [[0.5, 0.1, 0.1], [0.1, 0.5, 0.2]]
    near, far = [[0.1, 0.0, 0.0], [0.0, 0.1, 0.0]], [[0.0, 0.0, 0.1], [0.0, 0.1, 0.0]]
    given = {"teacher": teacher, "distillation": 1.0}
    assert losses(guide, None, near, **given) < losses(guide, None, far, **given)
