"""What a ServerStore asks for, without a server."""

from __future__ import annotations

import contextlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qdrant_client import QdrantClient, models
from qdrant_client import grpc as messages
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc

from trivec.errors import CollectionError, InputError
from trivec.fusion import Dbsf, Linear, Rrf
from trivec.query import Prefetch, StoreQuery
from trivec.schema import Schema, VectorSpec
from trivec.stores import ServerStore
from trivec.stores.records import vector_of
from trivec.stores.server.batches import batches
from trivec.stores.server.collections import collection_schema, payload_index_types
from trivec.stores.server.requests import point_struct, query_model, search_body
from trivec.stores.server.wire.grpc import GrpcWire, read_vectors
from trivec.stores.server.wire.rest import RestWire
from trivec.types import Point, SparseVector

DENSE = np.array([0.6, 0.8], dtype=np.float32)
SPARSE = SparseVector.from_mapping({3: 1.0, 9: 0.5})
ROWS = np.eye(2, dtype=np.float32)
FILTER = models.Filter(must=[models.HasIdCondition(has_id=[1])])


def query(fusion=None, **changes):
    prefetches = (Prefetch("dense", DENSE, 50, 0.5), Prefetch("sparse", SPARSE, 50))
    return StoreQuery(changes.pop("prefetches", prefetches), 10, fusion, filter=FILTER, **changes)


def query_request(asked, *, exact):
    return query_model(search_body(asked, exact=exact))


def all_prefetches(request):
    for prefetch in request.prefetch or []:
        yield prefetch
        yield from all_prefetches(prefetch)


def test_one_prefetch_is_a_plain_query():
    request = query_request(query(prefetches=(Prefetch("dense", DENSE, 50, 0.5),)), exact=True)
    assert request.prefetch is None
    assert (request.using, request.limit, request.params.exact) == ("dense", 10, True)
    assert request.score_threshold == pytest.approx(0.5)


def test_fusions():
    rrf = query_request(query(Rrf(61, (1.0, 2.0))), exact=False).query
    assert rrf == models.RrfQuery(rrf=models.Rrf(k=61, weights=[1.0, 2.0]))
    assert query_request(query(Dbsf()), exact=False).query == models.FusionQuery(fusion="dbsf")
    linear = query_request(query(Linear((1.0, 0.3))), exact=False)
    assert linear.query.formula.sum[1].mult == [0.3, "$score[1]"]
    assert linear.query.defaults == {"$score[0]": 0.0, "$score[1]": 0.0}
    assert [len(prefetch.prefetch) for prefetch in linear.prefetch] == [2, 2]
    assert [prefetch.limit for prefetch in linear.prefetch] == [100, 100]


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(
    "asked",
    [
        query(Rrf(61, (1.0, 1.0))),
        query(Linear((1.0, 1.0))),
        query(rescore=("colbert", ROWS)),
    ],
    ids=["rrf", "linear", "rescore"],
)
def test_filter_and_exactness_are_everywhere(asked, exact):
    request = query_request(asked, exact=exact)
    everything = [request, *all_prefetches(request)]
    assert all(part.filter == FILTER for part in everything)
    leaves = [part for part in everything if part.prefetch is None]
    assert len(leaves) >= 2
    assert all((part.params is not None) == exact for part in leaves)


def test_the_offset_is_only_at_the_root():
    request = query_request(query(Dbsf(), offset=7), exact=False)
    assert request.offset == 7
    assert [prefetch.limit for prefetch in request.prefetch] == [50, 50]


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a b", "a\n", "x" * 256, "?", None])
def test_collection_names_that_are_refused(name):
    with pytest.raises(InputError, match="collection"):
        ServerStore(object(), name)


@pytest.mark.parametrize("name", ["kb", "知识库", "kb-1.2_x", "_x"])
def test_collection_names_that_pass(name):
    assert name in repr(ServerStore(object(), name))


NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(
    st.lists(NUMBERS, min_size=1, max_size=40),
    st.dictionaries(st.integers(0, 2**32 - 1), NUMBERS, max_size=20),
    st.dictionaries(
        TEXT, TEXT | st.integers(-(2**60), 2**60) | st.lists(TEXT, max_size=3), max_size=5
    ),
)
def test_both_wires_say_of_a_point_what_the_client_would(dense, sparse, payload):
    vectors = {
        "dense": np.array(dense, dtype=np.float32),
        "rows": np.array([dense, dense[::-1]], dtype=np.float32),
        "sparse": SparseVector.from_mapping(sparse),
    }
    point = Point(2**63, vectors, payload)
    struct = point_struct(point)
    rest, grpc = RestWire(), GrpcWire(None)
    written = rest.point(point)
    assert models.PointStruct.model_validate_json(written).payload == struct.payload
    assert in_float32(json.loads(written)["vector"]) == in_float32(struct.vector)
    assert rest.size(written) == len(written) + 1
    message = grpc.point(point)
    assert message == RestToGrpc.convert_point_struct(struct)
    assert message.ByteSize() < grpc.size(message)


@given(
    st.lists(NUMBERS, min_size=1, max_size=200),
    st.dictionaries(st.integers(0, 2**32 - 1), NUMBERS, max_size=20),
)
def test_grpc_reads_of_a_point_what_the_client_would(dense, sparse):
    given = messages.VectorsOutput()
    named = given.vectors.vectors
    named["dense"].dense.data.extend(dense)
    named["rows"].multi_dense.vectors.add().data.extend(dense)
    named["rows"].multi_dense.vectors.add().data.extend(dense[::-1])
    named["sparse"].sparse.indices.extend(sparse)
    named["sparse"].sparse.values.extend(sparse.values())
    named["older"].data.extend(dense)  # as older servers say it
    read = read_vectors(given, ["dense", "rows", "sparse", "older", "absent"])
    assert list(read) == ["dense", "rows", "sparse", "older"]
    for name, vector in GrpcToRest.convert_vectors_output(given).items():
        expected = vector_of(vector)
        assert type(read[name]) is type(expected)
        if isinstance(expected, SparseVector):
            assert read[name] == expected
        else:
            assert read[name].dtype == expected.dtype
            assert np.array_equal(read[name], expected)
            read[name] += 1  # it is the caller's own


def test_grpc_reads_an_unnamed_vector_and_none():
    given = messages.VectorsOutput()
    assert read_vectors(given, [""]) == {}
    given.vector.dense.data.extend([1.0, 2.0])
    assert read_vectors(given, [""])[""].tolist() == [1.0, 2.0]
    assert read_vectors(given, ["dense"]) == {}


def in_float32(vectors):
    """The numbers as a server keeps them."""
    sparse = vectors["sparse"]
    indices, values = (
        (sparse["indices"], sparse["values"])
        if isinstance(sparse, dict)
        else (sparse.indices, sparse.values)
    )
    return (
        np.array(vectors["dense"], np.float32).tolist(),
        np.array(vectors["rows"], np.float32).tolist(),
        list(indices),
        np.array(values, np.float32).tolist(),
    )


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(
    "asked",
    [
        query(prefetches=(Prefetch("dense", DENSE, 50, 0.5),), with_vectors=("dense",)),
        query(Rrf(61, (1.0, 2.0))),
        query(Dbsf(), offset=7),
        query(Linear((1.0, 0.3))),
        query(rescore=("colbert", ROWS)),
        StoreQuery((Prefetch("", DENSE, 5),), 5, with_vectors=("",)),
    ],
    ids=["plain", "rrf", "dbsf", "linear", "rescore", "unnamed"],
)
def test_both_wires_say_of_a_search_what_the_client_would(asked, exact):
    body = search_body(asked, exact=exact)
    request = query_model(body)
    written = models.QueryRequest.model_validate_json(RestWire().search(body))
    assert in_digits(written) == in_digits(request)
    message = GrpcWire(None).search(body)
    message.collection_name = "kb"
    assert message == RestToGrpc.convert_query_request(request, "kb")


def in_digits(request):
    """A request with its floats as float32 has them."""
    text = request.model_dump_json(exclude_unset=True, exclude_none=True)
    return json.loads(text, parse_float=lambda digits: float(np.float32(digits)))


@given(st.lists(st.integers(1, 50), max_size=600))
def test_batches_keep_order_and_bounds(sizes):
    cut = list(batches(sizes, lambda size: size, max_bytes=100))
    assert [size for batch in cut for size in batch] == sizes
    assert all(sum(batch) <= 100 and len(batch) <= 256 for batch in cut)


def test_an_item_larger_than_a_batch_stands_alone():
    assert list(batches([5, 500, 5], lambda size: size, max_bytes=100)) == [[5], [500], [5]]


class Sizes:
    """A client that notes how many points each write is of."""

    def __init__(self, client):
        self._inner = client
        self.sizes = {}

    def __getattr__(self, name):
        value = getattr(self._inner, name)
        if name not in {"upsert", "update_vectors", "batch_update_points", "delete"}:
            return value

        def call(collection, items, **options):
            listed = items if isinstance(items, list) else items.points
            self.sizes.setdefault(name, []).append(len(listed))
            return value(collection, items, **options)

        return call


def test_every_write_is_cut_into_requests_that_a_server_takes():
    points = [Point(number, {"dense": DENSE}, {}) for number in range(1, 601)]
    with contextlib.closing(QdrantClient(":memory:")) as local:
        client = Sizes(local)
        store = ServerStore(client, "kb")
        store.create(Schema({"dense": VectorSpec("dense", "dense", 2)}))
        store.upsert(points)
        store.update_vectors({point.id: point.vectors for point in points})
        store.overwrite_payload({point.id: {"a": 1} for point in points})
        store.delete(ids=list(range(1, 2002)))
    cut = [256, 256, 88]
    assert client.sizes == {
        "upsert": cut,
        "update_vectors": cut,
        "batch_update_points": cut,
        "delete": [1000, 1000, 1],
    }


def test_payload_indexes():
    types = payload_index_types(Schema({}, None, {"a": "keyword", "t": "text"}, "own.tenant"))
    assert types["a"] == models.PayloadSchemaType.KEYWORD
    assert types["t"].phrase_matching
    assert types["own.tenant"].is_tenant
    with pytest.raises(InputError, match=r"fancy.*keyword"):
        payload_index_types(Schema({}, None, {"a": "fancy"}))


# Foreign collections


def foreign(vectors, sparse=None):
    client = QdrantClient(":memory:")
    client.create_collection("theirs", vectors_config=vectors, sparse_vectors_config=sparse)
    return client


def vector(size=4, *, rows=False):
    comparator = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
    return models.VectorParams(
        size=size,
        distance=models.Distance.COSINE,
        multivector_config=comparator if rows else None,
    )


IDF = models.SparseVectorParams(modifier=models.Modifier.IDF)
LEARNED = models.SparseVectorParams()


@pytest.mark.parametrize(
    ("vectors", "sparse", "expected"),
    [
        (vector(), None, {"dense": VectorSpec("", "dense", 4)}),
        (
            {"text": vector(), "late": vector(3, rows=True)},
            {"lexical": LEARNED, "keywords": IDF},
            {
                "dense": VectorSpec("text", "dense", 4),
                "colbert": VectorSpec("late", "multivector", 3),
                "sparse": VectorSpec("lexical", "sparse"),
                "bm25": VectorSpec("keywords", "sparse", idf=True),
            },
        ),
        (
            models.VectorParams(size=4, distance=models.Distance.DOT),
            None,
            {"dense": VectorSpec("", "dense", 4, distance="dot")},
        ),
        ({"dense": vector(), "image": vector(8)}, None, {"dense": VectorSpec("dense", "dense", 4)}),
        ({"a": vector(), "b": vector()}, {"s": LEARNED}, {"sparse": VectorSpec("s", "sparse")}),
    ],
    ids=["unnamed", "by-dot", "by-kind", "ours-by-name", "ambiguous"],
)
def test_a_foreign_collection_is_read_off(vectors, sparse, expected):
    schema = ServerStore(foreign(vectors, sparse), "theirs").schema
    assert schema == Schema(expected)
    assert schema.fingerprint is None


def test_the_unnamed_vector_of_a_foreign_collection_can_be_used():
    store = ServerStore(foreign(vector(2)), "theirs")
    store.upsert([Point(1, {"": DENSE}, {"a": 1})])
    ((found,),) = store.query([StoreQuery((Prefetch("", DENSE, 5),), 5, with_vectors=("",))])
    np.testing.assert_allclose(found.vectors[""], DENSE)
    assert found.score == pytest.approx(1.0)


def test_a_damaged_note_is_an_error():
    client = QdrantClient(":memory:")
    client.create_collection("x", vectors_config=vector(), metadata={"trivec": {"vectors": 3}})
    with pytest.raises(CollectionError):
        collection_schema(client.get_collection("x").config)
