"""What is left after a kill, and what a second process meets."""

import signal
import subprocess
import sys
import textwrap
import time
from contextlib import closing
from itertools import islice

import numpy as np
import pytest

from trivec import Chunk, HybridIndex, IndexConfig
from trivec.errors import (
    CollectionError,
    CollectionLockedError,
    FingerprintMismatchError,
    StoreUnavailableError,
)
from trivec.index import check_index
from trivec.index.hybrid import binding_of
from trivec.stores import EdgeStore
from trivec.testing import FakeEncoder

COUNT = 5_000
CONFIG = IndexConfig(arms=("dense", "sparse", "bm25", "colbert"), batch_size=64)

ADDING = textwrap.dedent(
    """
    import sys
    from tests_crash import chunks, CONFIG
    from trivec import HybridIndex
    from trivec.testing import FakeEncoder

    with HybridIndex.open(sys.argv[1], FakeEncoder(dim=32), config=CONFIG) as index:
        reported = 0
        def progress(done):
            global reported
            reported += done
            print(done, flush=True)
            if reported >= int(sys.argv[2]):  # it goes on when it is told to
                sys.stdin.readline()
        index.add(chunks(), progress=progress)
    """
)


def chunks():
    return (
        Chunk(
            f"passage {at} about topic {at % 97} 主题{at % 53}",
            source=f"{at // 50}.md",
            position=at % 50,
            metadata={"at": at},
        )
        for at in range(COUNT)
    )


@pytest.fixture
def adding(tmp_path):
    """Start a process that adds the chunks and pauses after so many; give it and its folder."""
    (tmp_path / "tests_crash.py").write_text(
        "from importlib.util import module_from_spec, spec_from_file_location\n"
        f"spec = spec_from_file_location('crash', {__file__!r})\n"
        "module = module_from_spec(spec)\nspec.loader.exec_module(module)\n"
        "chunks, CONFIG = module.chunks, module.CONFIG\n"
    )
    folder = tmp_path / "kb"

    started = []

    def start(pausing_at):
        command = [sys.executable, "-c", ADDING, str(folder), str(pausing_at)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(command, cwd=tmp_path, **pipes))
        return folder, started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def contents(index):
    """Everything that the collection holds, by id."""
    return {
        point.id: (point.payload, dict(point.vectors))
        for page in binding_of(index).pages(
            None, with_vectors=["dense", "sparse", "bm25", "colbert"]
        )
        for point in page
    }


def test_a_kill_during_add_loses_nothing_that_adding_again_does_not_mend(adding, tmp_path):
    folder, process = adding(COUNT // 2)  # where it is killed before it ends, however late
    reported = 0
    while reported < COUNT // 4:
        reported += int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    process.wait()

    encoder = FakeEncoder(dim=32)
    with HybridIndex.open(folder, encoder, config=CONFIG) as index:
        survived = index.count()
        assert reported <= survived < COUNT  # what was reported as done is there
        report = index.add(chunks())
        assert (report.added + report.updated, report.skipped) == (COUNT - survived, survived)
        mended = contents(index)
    with HybridIndex.open(tmp_path / "whole", encoder, config=CONFIG) as index:
        index.add(chunks())
        whole = contents(index)
    assert mended.keys() == whole.keys()
    for key, (payload, vectors) in whole.items():
        assert mended[key][0] == payload
        assert mended[key][1].keys() == vectors.keys()
        for name, vector in vectors.items():
            if name in ("sparse", "bm25"):
                assert mended[key][1][name] == vector
            else:
                np.testing.assert_allclose(mended[key][1][name], vector, atol=1e-6)


def test_a_second_process_is_turned_away_and_the_first_goes_on(adding):
    folder, process = adding(1)
    process.stdout.readline()
    with pytest.raises(CollectionLockedError, match=rf"in process {process.pid} "):
        HybridIndex.open(EdgeStore(folder, wait=0), FakeEncoder(dim=32))
    process.communicate("go on\n" * COUNT)
    assert process.returncode == 0
    with HybridIndex.open(folder, FakeEncoder(dim=32)) as index:
        assert index.count() == COUNT


def test_another_model_on_an_old_folder(tmp_path):
    HybridIndex.open(tmp_path / "kb", FakeEncoder(dim=32)).close()
    with pytest.raises(FingerprintMismatchError) as caught:
        HybridIndex.open(tmp_path / "kb", FakeEncoder(dim=16))
    assert "there 32, here 16" in str(caught.value)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "letter.txt").write_text("Dear reader,")
    with pytest.raises(CollectionError, match="not an index"):
        HybridIndex.open(tmp_path, FakeEncoder())
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_server_that_is_not_there(clock):
    from qdrant_client import QdrantClient

    with pytest.warns(UserWarning, match="insecure"):
        client = QdrantClient(
            url="http://127.0.0.1:9", api_key="secret-key", timeout=60, check_compatibility=False
        )
    with closing(client), pytest.raises(StoreUnavailableError) as caught:
        HybridIndex.open(client, FakeEncoder(), collection="kb")
    assert "secret-key" not in str(caught.value)
    assert 0 < clock.now < 60


MIDST = textwrap.dedent(
    """
    import sys
    from tests_crash import CONFIG, chunks
    from itertools import islice
    from trivec import HybridIndex
    from trivec.testing import FakeEncoder

    index = HybridIndex.open(sys.argv[1], FakeEncoder(dim=32), config=CONFIG)
    index.count()
    print("open", flush=True)
    while True:
        for at in range(0, 400, 5):
            index.delete(filter={"at": {"gte": at, "lt": at + 5}}) if "delete" in sys.argv else None
            index.optimize() if "optimize" in sys.argv else None
            index.ensure_payload_index("at") if "index" in sys.argv else None
        index.close() if "close" in sys.argv else None
        index = HybridIndex.open(sys.argv[1], FakeEncoder(dim=32), config=CONFIG)
        index.add(islice(chunks(), 400)) if "delete" in sys.argv else None
    """
)


@pytest.mark.usefixtures("adding")
@pytest.mark.parametrize("midst", ["delete optimize", "index", "close"])
def test_a_kill_in_the_midst_leaves_an_index_that_is_sound(tmp_path, midst):
    """Killed twice at whatever it was doing; what was not deleted is there, whole."""
    folder = tmp_path / "kb"
    with HybridIndex.open(folder, FakeEncoder(dim=32), config=CONFIG) as index:
        index.add(islice(chunks(), 400))
    for seconds in (0.1, 0.7):
        process = subprocess.Popen(
            [sys.executable, "-c", MIDST, str(folder), *midst.split()],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout.readline() == "open\n"
        time.sleep(seconds)
        process.kill()
        process.communicate()
    assert check_index(folder).is_sound
    with HybridIndex.open(folder, FakeEncoder(dim=32), config=CONFIG) as index:
        there = {chunk.metadata["at"]: chunk for chunk in index.chunks()}
        assert len(there) == index.count()
        assert "delete" in midst or len(there) == 400
        whole = {chunk.metadata["at"]: chunk.text for chunk in islice(chunks(), 400)}
        assert all(whole[at] == chunk.text for at, chunk in there.items())
        index.add(islice(chunks(), 400))
        assert index.count() == 400
    assert check_index(folder).is_sound
