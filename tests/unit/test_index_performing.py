"""What the index's steps mean in threads and on event loops: order, errors, cancelling."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from trivec import AsyncHybridIndex, Chunk, HybridIndex, IndexConfig
from trivec.errors import StoreError
from trivec.index import performing_on_loop
from trivec.index.performing import run
from trivec.index.performing_on_loop import arun
from trivec.index.steps import compute, in_background, join, read, write
from trivec.testing import FakeEncoder, MemoryStore
from trivec.types import ALL_HEADS

SECONDS = 60  # of waiting for what happens at once, unless it never does
CONFIG = IndexConfig(arms=("dense",), batch_size=1)
CHUNKS = [Chunk(f"passage number {n}", id=str(n)) for n in range(4)]
CHANGED = [Chunk(chunk.text, id=chunk.id, metadata={"n": 1}) for chunk in CHUNKS]


class Awaited:
    """A synchronous store, awaited: each call gives the event loop a turn first."""

    def __init__(self, store):
        self._store = store

    def __getattr__(self, name):
        method = getattr(self._store, name)

        async def call(*arguments, **options):
            await asyncio.sleep(0)
            return method(*arguments, **options)

        return call


class InThread:
    name = "thread"

    def run(self, steps, store):
        return run(steps, store)

    def add(self, index, chunks):
        return index.add(chunks)


class OnLoop:
    name = "event loop"

    def run(self, steps, store):
        return asyncio.run(arun(steps, store, None))

    def add(self, index, chunks):
        return asyncio.run(AsyncHybridIndex(index).add(chunks))


class OnLoopAwaited:
    name = "event loop, asynchronous store"

    def run(self, steps, store):
        return asyncio.run(arun(steps, store, Awaited(store)))

    def add(self, index, chunks):
        return asyncio.run(AsyncHybridIndex(index, Awaited(index.store)).add(chunks))


@pytest.fixture(params=[InThread(), OnLoop(), OnLoopAwaited()], ids=lambda kind: kind.name)
def kind(request):
    return request.param


class Recorder:
    """A store that notes its calls; ``effects`` are called by name."""

    def __init__(self, **effects):
        self.calls = []
        self._effects = effects

    def do(self, name):
        self.calls.append(name)
        effect = self._effects.get(name)
        return effect() if effect else name


def do(name):
    return lambda store: store.do(name)


def failing(message):
    def fail():
        raise StoreError(message)

    return fail


# Order and errors, of each kind


def test_answers_come_back(kind):
    def steps():
        answer = yield from read(do("a"))
        length = yield from compute(lambda: len(answer))
        yield from write(do("b"))
        return answer, length

    store = Recorder()
    assert kind.run(steps(), store) == ("a", 1)
    assert store.calls == ["a", "b"]


def test_groups_are_written_in_order_one_at_a_time(kind):
    def steps():
        yield from in_background(do("a"), do("b"))
        yield from in_background(do("c"))
        yield from in_background()
        yield from join()
        yield from read(do("d"))

    store = Recorder(a=lambda: time.sleep(0.02))
    kind.run(steps(), store)
    assert store.calls == ["a", "b", "c", "d"]


@pytest.mark.parametrize("following", [join, in_background], ids=["join", "next group"])
def test_a_groups_error_is_raised_at_the_next_join(kind, following):
    seen = []

    def steps():
        yield from in_background(do("full"), do("never"))
        yield from compute(lambda: seen.append("went on"))
        try:
            yield from following()
        except StoreError as err:
            seen.append(str(err))
        yield from join()  # it was raised, and is not raised again
        return "handled"

    store = Recorder(full=failing("the disk is full"))
    assert kind.run(steps(), store) == "handled"
    assert seen == ["went on", "the disk is full"]
    assert store.calls == ["full"]


def test_an_error_that_no_join_asked_for_is_raised_at_the_end(kind):
    def steps():
        yield from in_background(do("full"))
        return "done"

    with pytest.raises(StoreError, match="disk is full"):
        kind.run(steps(), Recorder(full=failing("the disk is full")))


def test_an_operation_that_fails_still_writes_its_group(kind):
    begun = threading.Event()

    def steps():
        yield from in_background(do("a"), do("b"))
        yield from compute(begun.wait)
        raise MemoryError("the machine is small")

    def slowly():
        begun.set()
        time.sleep(0.02)

    store = Recorder(a=slowly)
    with pytest.raises(MemoryError):
        kind.run(steps(), store)
    assert store.calls == ["a", "b"]


def test_an_error_in_the_background_is_noted_with_the_operations_own(kind):
    def steps():
        yield from in_background(do("full"))
        raise MemoryError("the machine is small")
        yield

    with pytest.raises(MemoryError) as caught:
        kind.run(steps(), Recorder(full=failing("the disk is full")))
    assert any("the disk is full" in note for note in caught.value.__notes__)


REQUEST = contextvars.ContextVar("REQUEST", default="none")


def test_context_variables_reach_every_thread(kind):
    seen = {}

    def see(name):
        return lambda: seen.setdefault(name, REQUEST.get())

    def steps():
        yield from read(do("read"))
        yield from compute(see("compute"))
        yield from in_background(do("background"))
        yield from join()

    def main():
        REQUEST.set("ours")
        store = Recorder(read=see("read"), background=see("background"))
        kind.run(steps(), store)

    contextvars.copy_context().run(main)
    assert seen == {"read": "ours", "compute": "ours", "background": "ours"}


# Adding


def test_a_batch_is_written_while_the_next_is_encoded(kind):
    """The first write waits for the second encoding to begin, which waits for nothing."""
    encoding = threading.Event()
    overlapped = []

    class Encoder(FakeEncoder):
        def encode_documents(self, texts, *, heads=ALL_HEADS):
            if CHUNKS[1].text in texts:
                encoding.set()
                assert writing.wait(SECONDS), "the first batch was not written meanwhile"
            return super().encode_documents(texts, heads=heads)

    writing = threading.Event()

    class Slow(MemoryStore):
        def upsert(self, points):
            writing.set()
            overlapped.append(encoding.wait(0 if overlapped else SECONDS))
            super().upsert(points)

    with HybridIndex.open(Slow(), Encoder(), config=CONFIG) as index:
        if isinstance(kind, OnLoopAwaited):  # its writes must not hold up the loop themselves
            asyncio.run(AsyncHybridIndex(index, InThreads(index.store)).add(CHUNKS))
        else:
            kind.add(index, CHUNKS)
        assert overlapped[0], "the second batch was not encoded before the first was written"
        assert index.count() == len(CHUNKS)


class InThreads:
    """A synchronous store, awaited in threads."""

    def __init__(self, store):
        self._store = store

    def __getattr__(self, name):
        method = getattr(self._store, name)
        return lambda *arguments, **options: asyncio.to_thread(method, *arguments, **options)


async def test_an_asynchronous_index_calls_a_synchronous_store_in_threads():
    threads = {}

    class Watched(MemoryStore):
        def __getattribute__(self, name):
            if name in {
                "upsert",
                "overwrite_payload",
                "query",
                "rank",
                "retrieve",
                "delete",
                "count",
            }:
                threads.setdefault(name, set()).add(threading.current_thread())
            return super().__getattribute__(name)

    with HybridIndex.open(Watched(), FakeEncoder(), config=CONFIG) as index:
        threads.clear()
        asynchronous = AsyncHybridIndex(index)
        await asynchronous.add(CHUNKS)
        await asynchronous.add(CHANGED)
        await asynchronous.search("passage")
        await asynchronous.get(["1"])
        await asynchronous.delete(ids=["1"])
        await asynchronous.count()
    assert set(threads) == {
        "upsert",
        "overwrite_payload",
        "query",
        "retrieve",
        "delete",
        "count",
    }
    assert not any(threading.main_thread() in several for several in threads.values())


# Interrupting and cancelling


def test_an_interrupted_thread_finishes_the_write_under_way_and_begins_no_other():
    begun, proceed = threading.Event(), threading.Event()

    def interrupt():
        assert begun.wait(SECONDS)
        threading.Timer(0.05, proceed.set).start()
        raise KeyboardInterrupt

    def slowly():
        begun.set()
        proceed.wait(SECONDS)
        store.calls.append("a is whole")

    def steps():
        yield from in_background(do("a"), do("b"))
        yield from compute(interrupt)

    store = Recorder(a=slowly)
    with pytest.raises(KeyboardInterrupt):
        run(steps(), store)
    assert store.calls == ["a", "a is whole"]


class Gate:
    """A call that says that it has begun, and ends when it is let."""

    def __init__(self):
        self.begun, self.let, self.ended = threading.Event(), threading.Event(), threading.Event()

    def __call__(self):
        self.begun.set()
        self.let.wait(SECONDS)
        self.ended.set()

    async def has_begun(self):
        assert await asyncio.to_thread(self.begun.wait, SECONDS)


async def cancelled(task, times=1):
    """Cancel a task, some times, and see that it is not over by that."""
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0.02)
    assert not task.done(), "the cancellation left before what was under way"


def others():
    return asyncio.all_tasks() - {asyncio.current_task()}


def written_behind():
    yield from in_background(do("gate"), do("never"))
    yield from join()


def written_before_the_next():
    yield from in_background(do("gate"), do("never"))
    yield from in_background(do("never"))


def written_in_front():
    yield from write(do("gate"))
    yield from write(do("never"))


OPERATIONS = [written_behind, written_before_the_next, written_in_front]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("times", [1, 3])
async def test_a_cancelled_operation_waits_for_the_write_in_a_thread(operation, times):
    gate = Gate()
    store = Recorder(gate=gate)
    task = asyncio.create_task(arun(operation(), store, None))
    await gate.has_begun()
    await cancelled(task, times)
    gate.let.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gate.ended.is_set()
    assert not others()
    await asyncio.sleep(0.02)
    assert store.calls == ["gate"]


async def test_a_cancelled_operation_waits_for_what_it_computes():
    gate = Gate()
    store = Recorder()

    def steps():
        yield from compute(gate)
        yield from write(do("never"))

    task = asyncio.create_task(arun(steps(), store, None))
    await gate.has_begun()
    await cancelled(task)
    gate.let.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gate.ended.is_set()
    assert not store.calls
    assert not others()


async def test_no_write_begins_while_a_cancelled_operation_waits_for_its_encoding():
    """The group's first write ends after the cancellation, the encoding later still."""
    written, encoded = Gate(), Gate()
    store = Recorder(gate=written)

    def steps():
        yield from in_background(do("gate"), do("never"))
        yield from compute(encoded)

    task = asyncio.create_task(arun(steps(), store, None))
    await written.has_begun()
    await encoded.has_begun()
    await cancelled(task)
    written.let.set()
    await asyncio.to_thread(written.ended.wait, SECONDS)
    await asyncio.sleep(0.05)
    assert not task.done()
    encoded.let.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert store.calls == ["gate"]


async def test_a_write_that_waits_for_a_thread_does_not_begin_after_the_cancellation():
    gate = Gate()
    store = Recorder()
    with ThreadPoolExecutor(1) as pool:
        asyncio.get_running_loop().set_default_executor(pool)
        busy = pool.submit(gate)
        task = asyncio.create_task(arun(write(do("never")), store, None))
        await asyncio.sleep(0.02)
        await cancelled(task)
        gate.let.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        busy.result()
    assert not store.calls


async def test_a_call_in_a_thread_that_does_not_end_is_left_after_a_while(monkeypatch, caplog):
    monkeypatch.setattr(performing_on_loop, "LAST_SECONDS", 0.05)
    gate = Gate()
    task = asyncio.create_task(arun(written_behind(), Recorder(gate=gate), None))
    await gate.has_begun()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, SECONDS)
    assert not gate.ended.is_set()
    assert "goes on" in caplog.text
    assert not others()
    gate.let.set()


async def test_a_time_limit_is_a_cancellation():
    """Time is over once the first write has begun, and the write ends after that."""
    gate = Gate()

    async def end(limit):
        await gate.has_begun()
        limit.reschedule(asyncio.get_running_loop().time())
        while not limit.expired():  # noqa: ASYNC110  # it sets no event
            await asyncio.sleep(0.001)
        gate.let.set()

    async def limited():
        async with asyncio.timeout(None) as limit:
            ending = asyncio.create_task(end(limit))
            await arun(written_in_front(), Recorder(gate=gate), None)
        await ending

    with pytest.raises(TimeoutError):
        await limited()
    assert gate.ended.is_set()


async def test_a_write_that_fails_after_the_cancellation_is_logged(caplog):
    gate = Gate()

    def fail():
        gate()
        raise StoreError("secret text")

    task = asyncio.create_task(arun(written_behind(), Recorder(gate=fail), None))
    await gate.has_begun()
    await cancelled(task)
    gate.let.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "StoreError" in caplog.text
    assert "secret text" not in caplog.text


class Asynchronous:
    """An asynchronous store whose calls named ``gate`` end when they are let, or are cut off."""

    def __init__(self):
        self.calls = []
        self.let = asyncio.Event()
        self.begun = asyncio.Event()

    async def do(self, name):
        self.calls.append(name)
        if name == "gate":
            self.begun.set()
            try:
                await self.let.wait()
            except asyncio.CancelledError:
                self.calls.append("cut off")
                raise
            self.calls.append("whole")


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("times", [1, 3])
async def test_a_write_of_an_asynchronous_store_is_not_cut_off(operation, times):
    store = Asynchronous()
    task = asyncio.create_task(arun(operation(), MemoryStore(), store))
    await store.begun.wait()
    await cancelled(task, times)
    store.let.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert store.calls == ["gate", "whole"]
    assert not others()


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_write_that_does_not_end_is_cut_off_after_a_while(operation, monkeypatch):
    monkeypatch.setattr(performing_on_loop, "LAST_SECONDS", 0.05)
    store = Asynchronous()
    task = asyncio.create_task(arun(operation(), MemoryStore(), store))
    await store.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, SECONDS)
    assert store.calls == ["gate", "cut off"]
    assert not others()


async def test_a_read_of_an_asynchronous_store_is_cut_off_at_once(monkeypatch):
    monkeypatch.setattr(performing_on_loop, "LAST_SECONDS", 10 * SECONDS)  # of a write
    store = Asynchronous()
    task = asyncio.create_task(arun(read(do("gate")), MemoryStore(), store))
    await store.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, SECONDS)
    assert store.calls == ["gate", "cut off"]
    assert not others()


async def test_a_cancelled_add_writes_nothing_more():
    """Of a batch with new points and changed payloads, the second kind of write never begins."""
    gate = Gate()
    writes = []

    class Slow(MemoryStore):
        def upsert(self, points):
            writes.append("upsert")
            if len(writes) > 1:
                gate()
            super().upsert(points)

        def overwrite_payload(self, payloads):
            writes.append("overwrite_payload")
            super().overwrite_payload(payloads)

    config = IndexConfig(arms=("dense",), batch_size=4)
    with HybridIndex.open(Slow(), FakeEncoder(), config=config) as index:
        index.add(CHUNKS[:2])
        asynchronous = AsyncHybridIndex(index)
        more = [*CHANGED[:2], *CHUNKS[2:], *(Chunk(f"more {n}", id=f"m{n}") for n in range(8))]
        task = asyncio.create_task(asynchronous.add(more))
        await gate.has_begun()
        await cancelled(task)
        gate.let.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.05)
        assert writes == ["upsert", "upsert"]
        assert index.count() == 4  # the batch under way is whole
        report = await asynchronous.add(more)
        assert (report.added, report.updated, report.skipped) == (8, 2, 2)


async def test_a_cancelled_deletion_is_whole_or_has_not_begun():
    gate = Gate()

    class Slow(MemoryStore):
        def delete(self, *, ids=None, filter=None):
            gate()
            super().delete(ids=ids, filter=filter)

    with HybridIndex.open(Slow(), FakeEncoder(), config=CONFIG) as index:
        index.add(CHUNKS)
        task = asyncio.create_task(AsyncHybridIndex(index).delete(ids=["1", "2"]))
        await gate.has_begun()
        await cancelled(task)
        gate.let.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert index.count() == 2


async def test_the_engine_can_be_closed_after_a_cancelled_search():
    gate = Gate()
    searched = []

    class Slow(MemoryStore):
        def query(self, queries):
            gate()
            searched.append(super().query(queries))
            return searched[-1]

    with HybridIndex.open(Slow(), FakeEncoder(), config=CONFIG) as index:
        index.add(CHUNKS)
        task = asyncio.create_task(AsyncHybridIndex(index).search("passage"))
        await gate.has_begun()
        await cancelled(task)
        gate.let.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert searched, "the store was still searching"
