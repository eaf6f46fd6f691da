"""A search becomes a span, with opentelemetry-api alone: the tracers here are of its interface."""

from opentelemetry import trace

from trivec import Chunk, HybridIndex
from trivec.events import Spans, listen
from trivec.testing import FakeEncoder, MemoryStore

started: list[tuple[str, dict[str, object]]] = []


class Tracer(trace.NoOpTracer):
    def start_span(self, name, *args, attributes=None, **named):
        started.append((name, dict(attributes)))
        return super().start_span(name, *args, attributes=attributes, **named)


class Provider(trace.TracerProvider):
    def get_tracer(self, *_args, **_named):
        return Tracer()


index = HybridIndex.open(MemoryStore(), FakeEncoder())
index.add([Chunk("green tea", id="tea")])
with listen(Spans(Provider())), listen(Spans(Provider(), convention="openinference")):
    index.search("tea", k=3)
listen(Spans()).close()
(own, _phoenix) = started
assert own[0] == "retrieval", own
assert own[1]["gen_ai.retrieval.top_k"] == 3, own
