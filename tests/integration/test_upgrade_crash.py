"""A process that is killed while it adds an arm, and the one that completes the work."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

from trivec import Chunk, HybridIndex, IndexConfig
from trivec.index.hybrid import binding_of
from trivec.testing import FakeEncoder

COUNT = 400
CONFIG = IndexConfig(arms=("dense",), batch_size=20)
ARMS = ("sparse", "colbert")

UPGRADING = textwrap.dedent(
    """
    import sys, time
    from trivec import HybridIndex, IndexConfig
    from trivec.testing import FakeEncoder

    index = HybridIndex.open(sys.argv[1], FakeEncoder(dim=32), config=IndexConfig(batch_size=20))

    reported = 0

    def report(done):
        global reported
        print(done, flush=True)
        reported += 1
        time.sleep(0.05 if reported < 6 else 600)  # it is killed before it ends, however late

    index.add_arm(sys.argv[2], progress=report)
    """
)


class Counting(FakeEncoder):
    encoded = 0

    def encode_documents(self, texts, **options):
        self.encoded += len(texts)
        return super().encode_documents(texts, **options)


def contents(index):
    names = ["dense", *ARMS]
    return {
        point.id: {
            name: vector if name == "sparse" else vector.tolist()
            for name, vector in point.vectors.items()
        }
        for page in binding_of(index).pages(None, with_vectors=names)
        for point in page
    }


def test_an_upgrade_that_was_killed_is_completed(tmp_path):
    chunks = [Chunk(f"passage {at} of {at % 7} 第{at}页", id=str(at)) for at in range(COUNT)]
    for place in ("killed", "whole"):
        with HybridIndex.open(tmp_path / place, FakeEncoder(dim=32), config=CONFIG) as index:
            index.add(chunks)
    for arm in ARMS:
        command = [sys.executable, "-c", UPGRADING, str(tmp_path / "killed"), arm]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            written = sum(int(process.stdout.readline()) for _ in range(3))
            process.kill()
        assert process.returncode == -signal.SIGKILL
        encoder = Counting(dim=32)
        with HybridIndex.open(tmp_path / "killed", encoder, create=False) as index:
            assert list(index.schema.building) == [arm]
            assert 0 < index.add_arm(arm) <= COUNT - written
            assert encoder.encoded <= COUNT - written
    with (
        HybridIndex.open(tmp_path / "killed", FakeEncoder(dim=32)) as killed,
        HybridIndex.open(tmp_path / "whole", FakeEncoder(dim=32)) as whole,
    ):
        for arm in ARMS:
            whole.add_arm(arm)
        assert killed.schema == whole.schema
        assert contents(killed) == contents(whole)
