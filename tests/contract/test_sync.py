"""An index holds what a folder holds: changed, moved, deleted and unreadable files."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

import pytest
from tests.contract.test_identity import Counting

from trivec import Chunk, HybridIndex, IndexConfig, SearchOptions
from trivec.errors import InputError
from trivec.index.hybrid import binding_of
from trivec.ingest import SyncOptions, SyncProgress, sync_folder
from trivec.testing import MemoryStore

DRY = SyncOptions(dry_run=True)
FILES = {
    "bees.md": "# Bees\n\nBees make honey.",
    "deep/tea.txt": "Green tea is a warm drink.",
    "people.csv": "id,text\n1,Ada wrote programs\n2,Alan broke codes\n",
    "products.csv": "id,text\n1,a red bicycle\n2,a tent\n",
}


@pytest.fixture
def encoder():
    return Counting()


@pytest.fixture
def index(location, encoder):
    with HybridIndex.open(**location, encoder=encoder, config=IndexConfig(batch_size=3)) as opened:
        yield opened


@pytest.fixture
def docs(tmp_path):
    folder = tmp_path / "docs"
    for name, text in FILES.items():
        folder.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
        folder.joinpath(name).write_text(text, "utf-8")
    return folder


@pytest.fixture
def sync(index, docs):
    def call(paths=None, **given):
        return sync_folder(index, docs if paths is None else paths, len, **given)

    return call


def sources(index):
    return {chunk.source for chunk in index.chunks()}


def held(index):
    return sorted((chunk.source, chunk.text) for chunk in index.chunks())


class TestWhatChanges:
    def test_nothing_twice(self, sync, index, encoder):
        first = sync()
        assert (first.passages.added, first.files, first.missed) == (6, 4, 0)
        assert sources(index) == set(FILES)
        encoded = encoder.encoded
        again = sync()
        assert (again.passages.skipped, again.passages.given, again.gone) == (6, 6, ())
        assert encoder.encoded == encoded

    def test_what_was_never_meant_to_be_read_keeps_no_old_passage(self, sync, index, docs):
        """An attachment is reported; the mail around it is whole, and is forgotten like others."""
        head = "Subject: Tea\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n"
        tail = "\n\n--b\nContent-Type: image/png\n\nx\n--b--\n"
        mail = docs / "a.eml"
        mail.write_text(f"{head}{'long ' * 60}{tail}", "utf-8")
        assert sync().left_out[0].where == "attachment 'image/png'"
        mail.write_text(f"{head}short{tail}", "utf-8")
        sync()
        assert [text for source, text in held(index) if source == "a.eml"] == ["Tea\n\nshort"]
        mail.unlink()
        assert sync().gone == ("a.eml",)

    def test_names_with_control_characters(self, sync, index, docs, encoder):
        """A source is stored without them; the file is still the one that was listed."""
        names = ["a\x1b[31m.md", "b\x9b.txt", "c\rd.txt", "e\nf.txt", "g\u202e.txt", "h\x7f.txt"]
        for name in names:
            docs.joinpath(name).write_text(f"The text of {name!a}.", "utf-8")
        assert sync().passages.added == 6 + len(names)
        encoded = encoder.encoded
        again = sync()
        assert (again.passages.skipped, again.passages.deleted, again.gone) == (12, 0, ())
        assert encoder.encoded == encoded
        docs.joinpath(names[0]).write_bytes(b"\x81\xff\x00\xfe")
        docs.joinpath(names[1]).unlink()
        docs.joinpath("h.txt").write_text("Its name differs in a control character.", "utf-8")
        report = sync()
        assert report.gone == ("b.txt",)
        assert "a[31m.md" in sources(index)  # it cannot be read, so nothing of it is deleted
        assert [refusal.id for refusal in report.passages.refused] != []
        assert report.missed == 2

    def test_the_working_directory_does_not_matter(self, sync, index, docs, monkeypatch):
        sync()
        for place, path in ((docs, "."), (docs / "deep", ".."), (docs.parent, "docs")):
            monkeypatch.chdir(place)
            assert sync(path).passages.skipped == 6
        assert sync(docs / "deep").passages.skipped == 1
        assert sync([docs / "bees.md", docs / "deep"]).passages.skipped == 2
        assert sources(index) == set(FILES)

    def test_a_changed_file(self, sync, index, docs, encoder):
        sync()
        encoded = encoder.encoded
        docs.joinpath("people.csv").write_text("id,text\n1,Ada wrote programs\n3,Grace\n", "utf-8")
        report = sync()
        assert (report.passages.added, report.passages.deleted) == (1, 1)
        assert encoder.encoded == encoded + 1
        assert index.get(["2"], source="people.csv") == []
        assert len(index.get(["2"])) == 1

    def test_a_file_that_is_gone(self, sync, index, docs):
        sync()
        docs.joinpath("bees.md").unlink()
        shutil.rmtree(docs / "deep")
        report = sync()
        assert set(report.gone) == {"bees.md", "deep/tea.txt"}
        assert (report.passages.deleted, report.missed) == (2, 0)
        assert sources(index) == {"people.csv", "products.csv"}
        assert all("honey" not in hit.text for hit in index.search("honey", k=9))

    @pytest.mark.parametrize("prune", [True, False])
    def test_a_file_that_is_emptied(self, sync, index, docs, prune):
        sync()
        index.add([Chunk("by hand", source="bees.md", id="by hand")])
        docs.joinpath("bees.md").write_text("  \n", "utf-8")
        docs.joinpath("people.csv").write_text("id,text\n", "utf-8")
        planned = sync(options=SyncOptions(prune=prune, dry_run=True))
        assert (planned.passages.deleted, index.count()) == (3, 7)
        report = sync(options=SyncOptions(prune=prune))
        assert (report.passages.deleted, report.gone, report.kept) == (3, (), ())
        assert {one.path.name for one in report.left_out} == {"bees.md", "people.csv"}
        assert [chunk.text for chunk in index.get(["by hand"])] == ["by hand"]
        assert index.count() == 4

    @pytest.mark.parametrize(
        "renamed",
        [
            {"a.txt": "b.txt", "b.txt": "c.txt", "c.txt": "d.txt"},
            {"b.txt": "a.txt", "c.txt": "b.txt", "a.txt": "z.txt"},
            {"a.txt": "b.txt", "b.txt": "a.txt"},
        ],
        ids=["forth", "back", "swapped"],
    )
    def test_chains_of_names(self, sync, index, docs, renamed):
        """Each passage has its own text's vectors, whichever name it had before."""
        letters = {"a.txt": "apples", "b.txt": "bears", "c.txt": "cider"}
        for name, text in letters.items():
            docs.joinpath(name).write_text(f"All about {text}.", "utf-8")
        sync()
        for name in renamed:
            docs.joinpath(name).rename(docs / f"{name}.moved")
        for name, new in renamed.items():
            docs.joinpath(f"{name}.moved").rename(docs / new)
        sync()
        for name, text in letters.items():
            hit = index.search(f"All about {text}.", k=1, options=SearchOptions(arms=("dense",)))[0]
            assert (hit.source, hit.text) == (renamed.get(name, name), f"All about {text}.")
            assert hit.score == pytest.approx(1, abs=1e-4)
        assert index.count() == 9

    def test_without_pruning_it_stays(self, sync, index, docs):
        sync()
        docs.joinpath("bees.md").unlink()
        report = sync(options=SyncOptions(prune=False))
        assert (report.gone, report.passages.deleted) == ((), 0)
        assert "bees.md" in sources(index)

    def test_moved_and_renamed_files_cost_no_encoding(self, sync, index, docs, encoder):
        sync()
        options = SearchOptions(explain=True)
        before = index.search("warm tea", k=1, options=options)[0]
        encoded = encoder.encoded
        docs.joinpath("deep").rename(docs / "deeper")
        docs.joinpath("people.csv").rename(docs / "staff.csv")
        report = sync()
        assert (report.passages.added, report.passages.reused, report.passages.deleted) == (3, 3, 3)
        assert encoder.encoded == encoded
        after = index.search("warm tea", k=1, options=options)[0]
        assert after.source == "deeper/tea.txt"
        for arm in ("dense", "sparse"):  # BM25's IDF may count what was deleted for a while
            assert after.arms[arm] == pytest.approx(before.arms[arm], abs=1e-4)
        assert index.count() == 6

    def test_two_names_for_what_had_one(self, sync, index, docs, encoder):
        sync()
        encoded = encoder.encoded
        docs.joinpath("one.md").write_text(FILES["bees.md"], "utf-8")
        docs.joinpath("bees.md").rename(docs / "two.md")
        report = sync()
        assert (report.passages.reused, len(report.gone)) == (2, 1)
        assert encoder.encoded == encoded
        assert {"one.md", "two.md"} <= sources(index)

    def test_a_moved_record_with_a_uuid_stays_the_same_point(self, sync, index, docs, encoder):
        name = "0b1e9f5c-7a0e-4a7c-9d53-0d4a5d5b6a11"
        docs.joinpath("a.jsonl").write_text(f'{{"id": "{name}", "text": "unique"}}', "utf-8")
        sync()
        encoded = encoder.encoded
        docs.joinpath("a.jsonl").rename(docs / "b.jsonl")
        report = sync()
        assert (report.passages.updated, report.passages.deleted) == (1, 0)
        assert [chunk.source for chunk in index.get([name])] == ["b.jsonl"]
        assert encoder.encoded == encoded

    def test_late_chunking_moves_too(self, sync, index, docs):
        late = SyncOptions(late_chunking=True)
        assert sync(options=late).passages.added == 6
        docs.joinpath("people.csv").rename(docs / "staff.csv")
        report = sync(options=late)
        assert (report.passages.reused, report.passages.skipped) == (2, 4)
        assert sync().passages.reused == 0  # without their neighbours the vectors are others
        assert index.count() == 6


class TestWhatMustNotBeLost:
    def test_nothing_of_a_file_that_cannot_be_read(self, sync, index, docs):
        sync()
        docs.joinpath("bees.md").write_bytes(b"\x81\xff\x00\xfe")
        report = sync()
        assert [one.path.name for one in report.left_out] == ["bees.md"]
        assert report.missed == 1
        assert "bees.md" in sources(index)
        with pytest.raises(InputError, match="bees"):
            report.require_complete()

    def test_nothing_of_a_file_that_was_read_in_part(self, sync, index, docs):
        lines = '{"id": "1", "text": "one"}\n{"id": "2", "text": "two"}'
        docs.joinpath("rows.jsonl").write_text(lines, "utf-8")
        sync()
        broken = '{"id": "1", "text": "another"}\nbroken'
        docs.joinpath("rows.jsonl").write_text(broken, "utf-8")
        report = sync()
        assert (report.passages.updated, report.passages.deleted) == (1, 0)
        assert index.get(["2"], source="rows.jsonl")[0].text == "two"
        docs.joinpath("rows.jsonl").write_text('{"id": "1", "text": "another"}', "utf-8")
        assert sync().passages.deleted == 1

    def test_nothing_below_a_folder_that_cannot_be_listed(self, sync, index, docs, monkeypatch):
        sync()
        scandir = os.scandir

        def refuse(path):
            if str(path).endswith("deep"):
                raise PermissionError(13, "Permission denied")
            return scandir(path)

        docs.joinpath("bees.md").unlink()
        monkeypatch.setattr(os, "scandir", refuse)
        report = sync()
        assert (report.gone, report.kept) == (("bees.md",), ("deep/tea.txt",))
        assert report.missed == 2
        assert "deep/tea.txt" in sources(index)

    def test_nothing_of_a_folder_that_is_empty_all_at_once(self, sync, index, docs):
        sync()
        shutil.rmtree(docs)
        docs.mkdir()
        report = sync()
        assert (report.gone, set(report.kept), report.missed) == ((), set(FILES), 4)
        assert index.count() == 6
        report = sync(options=SyncOptions(allow_empty=True))
        assert (set(report.gone), report.kept, index.count()) == (set(FILES), (), 0)

    def test_nothing_when_the_encoder_fails(self, sync, index, docs, monkeypatch):
        sync()
        docs.joinpath("bees.md").unlink()
        docs.joinpath("new.md").write_text("A new text.", "utf-8")
        monkeypatch.setattr(Counting, "encode_documents", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            sync()
        assert "bees.md" in sources(index)

    def test_nothing_that_did_not_come_from_a_file(self, sync, index, docs):
        others = [
            Chunk("from elsewhere", source="https://example.org/page"),
            Chunk("by hand", source="notes.md"),
            Chunk("without source", id="x"),
        ]
        index.add(others)
        sync()
        docs.joinpath("bees.md").unlink()
        assert sync().gone == ("bees.md",)
        assert {"https://example.org/page", "notes.md", None} <= sources(index)

    def test_nothing_outside_of_the_paths(self, sync, index, docs):
        sync()
        shutil.rmtree(docs / "deep")
        docs.joinpath("bees.md").unlink()
        docs.joinpath("deep").mkdir()
        docs.joinpath("deep/new.txt").write_text("fresh", "utf-8")
        assert sync(docs / "deep").gone == ("deep/tea.txt",)
        assert "bees.md" in sources(index)

    def test_nothing_of_another_tenant(self, docs):
        red = HybridIndex.open(MemoryStore(), Counting(), tenant="red")
        blue = HybridIndex(replace(binding_of(red), tenant="blue"), IndexConfig())
        for tenant in (red, blue):
            assert sync_folder(tenant, docs, len).passages.added == 6
        docs.joinpath("bees.md").unlink()
        assert sync_folder(red, docs, len).gone == ("bees.md",)
        assert (red.count(), blue.count()) == (5, 6)
        assert red.schema.root is None


class TestTheRoot:
    def test_it_is_remembered(self, sync, index, docs):
        sync()
        assert index.schema.root == str(docs)
        assert index.store.schema.root == str(docs)

    def test_of_several_paths_it_is_what_they_share(self, sync, index, docs):
        sync([docs / "deep", docs / "bees.md"])
        assert index.schema.root == str(docs)
        assert sources(index) == {"bees.md", "deep/tea.txt"}

    def test_a_folder_that_moved_needs_its_new_root(self, sync, index, docs, encoder):
        sync()
        encoded = encoder.encoded
        moved = docs.rename(docs.parent / "papers")
        with pytest.raises(InputError, match=r"lies outside of .*docs.*is gone; name"):
            sync(moved)
        assert sync(moved, root=moved).passages.skipped == 6
        assert encoder.encoded == encoded
        assert index.schema.root == str(moved)

    def test_what_lies_outside_keeps_its_whole_path(self, sync, index, tmp_path):
        sync()
        other = tmp_path / "other"
        other.mkdir()
        other.joinpath("bees.md").write_text("Other bees.", "utf-8")
        sync(other)
        place = other.joinpath("bees.md")
        assert sources(index) == {*FILES, place.as_posix()}
        place.unlink()
        other.joinpath("x.md").write_text("Not empty.", "utf-8")
        assert sync(other).gone == (place.as_posix(),)
        assert sync().gone == ()


class TestADryRun:
    def test_it_says_what_a_run_does_and_does_nothing(self, sync, index, docs, encoder):
        first = sync(options=DRY)
        assert (first.passages.added, index.count(), index.schema.root) == (6, 0, None)
        sync()
        docs.joinpath("bees.md").rename(docs / "wasps.md")
        docs.joinpath("deep/tea.txt").unlink()
        docs.joinpath("people.csv").write_text("id,text\n1,Ada\n3,Grace\n", "utf-8")
        before, encoded = held(index), encoder.encoded
        planned = sync(options=DRY)
        assert (held(index), encoder.encoded) == (before, encoded)
        done = sync()
        assert planned == done
        assert (done.passages.added, done.passages.updated, done.passages.deleted) == (2, 1, 3)


def test_the_indexs_own_folder_is_skipped(docs, encoder):
    with HybridIndex.open(docs / "kb", encoder) as index:
        first = sync_folder(index, docs, len)
        assert sources(index) == set(FILES)
        assert [one.reason for one in first.left_out] == ["it is an index of trivec"]
        assert first.missed == 0
        assert sync_folder(index, docs, len).passages.skipped == 6


def test_progress_begins_before_the_first_batch_and_knows_the_total(sync):
    seen: list[SyncProgress] = []
    sync(progress=seen.append)
    assert seen[0] == SyncProgress(0, 4, 0)
    assert seen[-1] == SyncProgress(4, 4, 6)
    assert {one.total for one in seen} == {4}
    assert [one.passages for one in seen] == sorted(one.passages for one in seen)
    assert any(one.files and not one.passages for one in seen)


def test_a_record_twice_in_one_file_is_refused_and_the_rest_is_pruned(sync, index, docs):
    docs.joinpath("people.csv").write_text("id,text\n1,Ada\n1,Alan\n", "utf-8")
    report = sync()
    assert report.missed == 1
    assert "the id '1' of source 'people.csv' was given twice" in report.passages.refused[0].reason
    assert sync().passages.given == report.passages.given
    assert index.count() == report.passages.added
