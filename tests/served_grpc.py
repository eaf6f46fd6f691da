"""What ``tests.served_qdrant`` serves over HTTP, over gRPC: the same answers as messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from qdrant_client import grpc as messages
from qdrant_client import models
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc, grpc_to_payload
from tests.served_qdrant import ROUTES, ServedQdrant, TroubleError

ACTIONS = {(verb, pattern): action for verb, pattern, _, action in ROUTES}
CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.ALREADY_EXISTS,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    500: grpc.StatusCode.INTERNAL,
}
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
Method = tuple[Any, tuple[str, str], Callable[[Any], list[Any]], Callable[[Any], Any]]
"""The request's type, the route, its arguments after the collection, and the answer's message."""


@contextmanager
def over_grpc(served: ServedQdrant, port: int = 0) -> Iterator[int]:
    """Serve on another port; yield it."""

    class Handler(grpc.GenericRpcHandler):
        def service(self, call: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(
                lambda body, context: _answer(served, call.method, body, context)
            )

    server = grpc.server(ThreadPoolExecutor(8), handlers=[Handler()], options=UNLIMITED)
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()


def _answer(served: ServedQdrant, method: str, body: bytes, context: Any) -> bytes:
    name = method.removeprefix("/qdrant.")
    if name == "Qdrant/HealthCheck":
        return messages.HealthCheckReply(version=served.version).SerializeToString()
    if name not in METHODS:
        context.abort(grpc.StatusCode.UNIMPLEMENTED, name)
    kind, route, arguments, answer = METHODS[name]
    request = kind.FromString(body)
    collection = request.collection_name
    given = arguments(request)
    try:
        served.meet(*route, given)
    except TroubleError as err:
        if err.retry_after is not None:
            context.set_trailing_metadata([("retry-after", str(err.retry_after))])
        context.abort(CODES[err.status], err.words)
    status, said = served.answered(collection, lambda: ACTIONS[route](served, collection, *given))
    if status != 200:
        context.abort(CODES[status], said["status"]["error"])
    return answer(said["result"]).SerializeToString()


def _given(message: Any, field: str, convert: Callable[[Any], Any]) -> Any:
    return convert(getattr(message, field)) if message.HasField(field) else None


def _created(request: Any) -> list[Any]:
    sparse = request.sparse_vectors_config.map
    body = models.CreateCollection(
        vectors=_given(request, "vectors_config", GrpcToRest.convert_vectors_config),
        sparse_vectors={
            name: GrpcToRest.convert_sparse_vector_params(one) for name, one in sparse.items()
        },
    )
    body.metadata = grpc_to_payload(request.metadata)
    return [body]


def _changed(request: Any) -> list[Any]:
    body = GrpcToRest.convert_update_collection(request)
    body.metadata = grpc_to_payload(request.metadata) or None
    return [body]


def _indexed(request: Any) -> list[Any]:
    kind = messages.FieldType.Name(request.field_type).removeprefix("FieldType").lower()
    schema = models.PayloadSchemaType(kind)
    return [models.CreateFieldIndex(field_name=request.field_name, field_schema=schema)]


def _added(request: Any) -> list[Any]:
    if request.HasField("dense_config"):
        dense = request.dense_config
        comparator = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
        config: Any = models.DenseVectorNameConfig(
            dense=models.DenseVectorConfig(
                size=dense.size,
                distance=GrpcToRest.convert_distance(dense.distance),
                multivector_config=comparator if dense.HasField("multivector_config") else None,
            )
        )
    else:
        modifier = _given(request.sparse_config, "modifier", GrpcToRest.convert_modifier)
        config = models.SparseVectorNameConfig(sparse=models.SparseVectorConfig(modifier=modifier))
    return [request.vector_name, config]


def _read(request: Any) -> dict[str, Any]:
    return {
        "with_payload": _given(request, "with_payload", GrpcToRest.convert_with_payload_interface),
        "with_vector": _given(request, "with_vectors", GrpcToRest.convert_with_vectors_selector),
    }


def _scrolled(request: Any) -> list[Any]:
    body = models.ScrollRequest(
        filter=_given(request, "filter", GrpcToRest.convert_filter),
        limit=request.limit,
        offset=_given(request, "offset", GrpcToRest.convert_point_id),
        **_read(request),
    )
    return [body]


def _written(result: Any) -> Any:
    return messages.PointsOperationResponse(
        result=RestToGrpc.convert_update_result(models.UpdateResult.model_validate(result))
    )


def _records(result: Any) -> list[Any]:
    records = [models.Record.model_validate({"payload": {}, **one}) for one in result]
    return [RestToGrpc.convert_record(record) for record in records]


def _page(result: Any) -> Any:
    following = result["next_page_offset"]
    offset = None if following is None else RestToGrpc.convert_extended_point_id(following)
    return messages.ScrollResponse(result=_records(result["points"]), next_page_offset=offset)


def _found(result: Any) -> Any:
    return messages.QueryBatchResponse(
        result=[messages.BatchResult(result=_scored(one["points"])) for one in result]
    )


def _scored(points: Any) -> list[Any]:
    return [
        RestToGrpc.convert_scored_point(models.ScoredPoint.model_validate(point))
        for point in points
    ]


def _points(request: Any) -> list[Any]:
    points = [GrpcToRest.convert_point_struct(point) for point in request.points]
    return [models.PointsList(points=points)]


def _vectors(request: Any) -> list[Any]:
    points = [GrpcToRest.convert_point_vectors(point) for point in request.points]
    where = _given(request, "update_filter", GrpcToRest.convert_filter)
    return [models.UpdateVectors(points=points, update_filter=where)]


def _operations(request: Any) -> list[Any]:
    changes = [GrpcToRest.convert_points_update_operation(one) for one in request.operations]
    return [models.UpdateOperations(operations=changes)]


def _described(result: Any) -> Any:
    result["config"]["wal_config"] = {"wal_capacity_mb": 32, "wal_segments_ahead": 0}
    note = result["config"].pop("metadata", None)
    info = RestToGrpc.convert_collection_info(models.CollectionInfo.model_validate(result))
    noted = messages.CollectionConfig(metadata=RestToGrpc.convert_payload(note or {}))
    info.config.MergeFrom(noted)
    return messages.GetCollectionInfoResponse(result=info)


def _done(result: Any) -> Any:
    return messages.CollectionOperationResponse(result=result)


METHODS: dict[str, Method] = {
    "Collections/CollectionExists": (
        messages.CollectionExistsRequest,
        ("GET", "exists"),
        lambda _: [],
        lambda result: messages.CollectionExistsResponse(
            result=messages.CollectionExists(exists=result["exists"])
        ),
    ),
    "Collections/Create": (messages.CreateCollection, ("PUT", ""), _created, _done),
    "Collections/Get": (
        messages.GetCollectionInfoRequest,
        ("GET", ""),
        lambda _: [],
        _described,
    ),
    "Collections/Update": (messages.UpdateCollection, ("PATCH", ""), _changed, _done),
    "Collections/Delete": (messages.DeleteCollection, ("DELETE", ""), lambda _: [], _done),
    "Points/CreateFieldIndex": (
        messages.CreateFieldIndexCollection,
        ("PUT", "index"),
        _indexed,
        _written,
    ),
    "Points/CreateVectorName": (
        messages.CreateVectorNameRequest,
        ("PUT", "vectors/([^/]+)"),
        _added,
        _written,
    ),
    "Points/Upsert": (messages.UpsertPoints, ("PUT", "points"), _points, _written),
    "Points/UpdateVectors": (
        messages.UpdatePointVectors,
        ("PUT", "points/vectors"),
        _vectors,
        _written,
    ),
    "Points/UpdateBatch": (
        messages.UpdateBatchPoints,
        ("POST", "points/batch"),
        _operations,
        lambda result: messages.UpdateBatchResponse(
            result=[
                RestToGrpc.convert_update_result(models.UpdateResult.model_validate(one))
                for one in result
            ]
        ),
    ),
    "Points/Get": (
        messages.GetPoints,
        ("POST", "points"),
        lambda request: [
            models.PointRequest(
                ids=[GrpcToRest.convert_point_id(one) for one in request.ids], **_read(request)
            )
        ],
        lambda result: messages.GetResponse(result=_records(result)),
    ),
    "Points/Scroll": (messages.ScrollPoints, ("POST", "points/scroll"), _scrolled, _page),
    "Points/Count": (
        messages.CountPoints,
        ("POST", "points/count"),
        lambda request: [
            models.CountRequest(filter=_given(request, "filter", GrpcToRest.convert_filter))
        ],
        lambda result: messages.CountResponse(result=messages.CountResult(count=result["count"])),
    ),
    "Points/Delete": (
        messages.DeletePoints,
        ("POST", "points/delete"),
        lambda request: [GrpcToRest.convert_points_selector(request.points)],
        _written,
    ),
    "Points/Query": (
        messages.QueryPoints,
        ("POST", "points/query"),
        lambda request: [GrpcToRest.convert_query_points(request)],
        lambda result: messages.QueryResponse(result=_scored(result["points"])),
    ),
    "Points/QueryBatch": (
        messages.QueryBatchPoints,
        ("POST", "points/query/batch"),
        lambda request: [
            models.QueryRequestBatch(
                searches=[GrpcToRest.convert_query_points(one) for one in request.query_points]
            )
        ],
        _found,
    ),
}
