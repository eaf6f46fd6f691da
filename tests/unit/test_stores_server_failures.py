"""What real servers answered by gRPC: which failures pass with time, and what is said of them."""

from __future__ import annotations

import grpc
import pytest
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from tests.clock import HOUR

from trivec.errors import StoreError, StoreUnavailableError
from trivec.stores import RetryPolicy
from trivec.stores.server.failures import (
    call,
    is_conflict,
    is_forbidden,
    is_refusal,
    is_too_large,
    is_transient,
    retry_delay,
)


class Answer(grpc.RpcError):
    """An answer of a server by gRPC."""

    def __init__(self, code, details):
        super().__init__()
        self._code, self._details = code, details

    def code(self):
        return self._code

    def details(self):
        return self._details


CODE = grpc.StatusCode
DISK = "Service internal error: No space left on device: WAL buffer size exceeds available disk"
NODE = (
    "Service internal error: 1 of 1 read operations failed:\n  Service internal error: Tonic "
    "status error: code: 'The service is currently unavailable', message: \"Failed to connect\""
)
SPLIT = (
    "Rate limiting exceeded: Write rate limit exceeded, request larger than rate limiter capacity, "
    "please try to split your request"
)
SIZE = "Wrong input: Vector dimension error: expected dim: 4, got 2 for vector 'dense'"


def failing(err, policy, **options):
    tries = []

    def action():
        tries.append(1)
        raise err

    with pytest.raises(StoreError) as caught:
        call(action, policy, **options)
    return caught.value, len(tries)


def test_a_full_disk_does_not_pass():
    error, tries = failing(Answer(CODE.INTERNAL, DISK), RetryPolicy(read_deadline=30.0))
    assert tries == 1
    assert "No space left on device" in str(error)
    assert not isinstance(error, StoreUnavailableError)


@pytest.mark.usefixtures("clock")
def test_a_node_that_is_down_may_come_back():
    policy = RetryPolicy(read_deadline=HOUR, longest_wait=HOUR / 10)
    error, tries = failing(Answer(CODE.INTERNAL, NODE), policy)
    assert tries > 1
    assert "currently unavailable" in str(error)
    assert isinstance(error, StoreUnavailableError)


def test_what_a_reading_of_deep_payloads_says_does_not_pass():
    deep = Answer(CODE.INTERNAL, "Exception deserializing response!")
    assert not is_transient(deep)
    assert failing(deep, RetryPolicy(read_deadline=30.0))[1] == 1


def test_what_is_to_be_split():
    split = Answer(CODE.RESOURCE_EXHAUSTED, SPLIT)
    assert is_too_large(split)
    assert failing(split, RetryPolicy(write_deadline=30.0), write=True)[1] == 1


def test_what_is_refused():
    assert is_refusal(Answer(CODE.INVALID_ARGUMENT, SIZE))
    assert is_refusal(ValueError("Exceeded upb_DecodeOptions_MaxDepth"))  # of the client itself
    for other in (Answer(CODE.INTERNAL, DISK), Answer(CODE.UNAVAILABLE, ""), TimeoutError(), None):
        assert not is_refusal(other)


def test_what_is_there_and_what_is_not_allowed():
    assert is_conflict(Answer(CODE.ALREADY_EXISTS, "Wrong input: Collection `a` already exists!"))
    forbidden = Answer(CODE.PERMISSION_DENIED, "Forbidden: Global manage access is required")
    assert is_forbidden(forbidden)
    assert "Global manage access is required" in str(failing(forbidden, RetryPolicy())[0])


@pytest.mark.parametrize("seconds", [-5, 0, 36, 10**400])
def test_a_wait_that_a_server_asks_for_is_a_number_of_seconds(seconds):
    delay = retry_delay(ResourceExhaustedResponse("slow down", seconds))
    assert 0 <= delay <= 10**9
