"""A server on the loopback address that answers as vLLM does for BGE-M3, well or badly as asked.

The shapes are those of vLLM 0.15 to 0.32 (``BgeM3EmbeddingModel``): ``token_classify`` gives a
weight for every token but the first and the last, ``token_embed`` a vector for all but the first.
"""

from __future__ import annotations

import base64
import json
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

__all__ = ["LetterModel", "M3Model", "TokenModel", "VllmServer"]


class TokenModel(Protocol):
    """What the server serves."""

    name: str
    max_length: int

    def tokenize(self, text: str) -> list[int]: ...

    def detokenize(self, ids: Sequence[int]) -> str: ...

    def dense(self, ids: Sequence[int]) -> np.ndarray: ...

    def weights(self, ids: Sequence[int]) -> np.ndarray: ...

    def rows(self, ids: Sequence[int]) -> np.ndarray: ...


class LetterModel:
    """A model of letters, whose numbers a test can foretell."""

    name = "letters"
    max_length = 32
    dim = 4

    def tokenize(self, text: str) -> list[int]:
        return [0, *(ord(letter) for letter in text), 2]

    def detokenize(self, ids: Sequence[int]) -> str:
        return "".join(map(chr, ids))

    def dense(self, ids: Sequence[int]) -> np.ndarray:
        return np.array([len(ids), *ids[:3], 0, 0][: self.dim], dtype=np.float32)

    def weights(self, ids: Sequence[int]) -> np.ndarray:
        return np.array(ids, dtype=np.float32) / 100

    def rows(self, ids: Sequence[int]) -> np.ndarray:
        return np.array([[token, 1, 0, 0] for token in ids], dtype=np.float32)


class M3Model:
    """A folder in the BGE-M3 format, read with transformers and torch alone."""

    name = "tiny-m3"
    max_length = 8192

    def __init__(self, folder: Path) -> None:
        import torch
        from transformers import AutoTokenizer, XLMRobertaModel

        self._torch = torch
        self._tokenizer = AutoTokenizer.from_pretrained(str(folder))
        self._model = XLMRobertaModel.from_pretrained(str(folder), add_pooling_layer=False).eval()
        self._heads = {
            name: torch.load(folder / f"{name}_linear.pt", weights_only=True)
            for name in ("sparse", "colbert")
        }

    def tokenize(self, text: str) -> list[int]:
        return self._tokenizer(text, truncation=False, verbose=False)["input_ids"]

    def detokenize(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(ids)

    def dense(self, ids: Sequence[int]) -> np.ndarray:
        return _unit(self._states(ids)[0]).numpy()

    def weights(self, ids: Sequence[int]) -> np.ndarray:
        return self._torch.relu(self._head("sparse", ids))[:, 0].numpy()

    def rows(self, ids: Sequence[int]) -> np.ndarray:
        return _unit(self._head("colbert", ids)).numpy()

    def _states(self, ids: Sequence[int]) -> Any:
        with self._torch.inference_mode():
            return self._model(self._torch.tensor([list(ids)])).last_hidden_state[0]

    def _head(self, name: str, ids: Sequence[int]) -> Any:
        head = self._heads[name]
        with self._torch.inference_mode():
            return self._states(ids) @ head["weight"].T + head["bias"]


def _unit(values: Any) -> Any:
    return values / values.norm(dim=-1, keepdim=True)


class VllmServer:
    """Serves a model at ``/v1/embeddings``, ``/pooling``, ``/tokenize`` and ``/detokenize``.

    What :meth:`fail` and :meth:`change` queue comes before the right answers, in its order.

    Args:
        server: the web server.
        model: what is served.
        squeeze: answer as versions before 0.18, which gave one token's list without its brackets.
        is_mute: give numbers as JSON whatever is asked for, as some servers do.
    """

    def __init__(
        self, server: HTTPServer, model: TokenModel, *, squeeze: bool = False, is_mute: bool = False
    ) -> None:
        self.url = server.url_for("/v1")
        self.requests: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        self.most_bytes: int | None = None
        self.breaks_at: tuple[int, int, str] | None = None  # tokens, status, message
        self._model = model
        self._squeeze = squeeze
        self._is_mute = is_mute
        self._faults: deque[Callable[[], Response]] = deque()
        self._changes: dict[str, deque[Callable[[dict[str, Any]], Any]]] = defaultdict(deque)
        for path in ("/v1/embeddings", "/pooling", "/tokenize", "/detokenize"):
            server.expect_request(path, method="POST").respond_with_handler(self._handle)

    def fail(self, status: int, message: str = "not well", **headers: str) -> None:
        """Answer the next request with an error in vLLM's form."""
        body = json.dumps({"error": {"message": message, "type": "Error", "code": status}})
        self._faults.append(
            lambda: Response(body, status, headers, content_type="application/json")
        )

    def answer(self, body: str, status: int = 200) -> None:
        """Answer the next request with this body."""
        self._faults.append(lambda: Response(body, status, content_type="application/json"))

    def redirect(self, to: str, status: int) -> None:
        """Send the next request elsewhere."""
        self._faults.append(lambda: Response("", status, {"Location": to}))

    def answer_packed(self, content: bytes) -> None:
        """Answer the next request with gzip's bytes."""
        headers = {"Content-Encoding": "gzip"}
        self._faults.append(
            lambda: Response(content, 200, headers, content_type="application/json")
        )

    def hang(self, wait: Callable[[], object]) -> None:
        """Answer the next request only after ``wait`` has returned."""

        def late() -> Response:
            wait()
            return Response("{}", 200)

        self._faults.append(late)

    def change(self, how: Callable[[dict[str, Any]], Any], path: str = "/v1/embeddings") -> None:
        """Pass the next right answer of an endpoint through a function."""
        self._changes[path].append(how)

    def paths(self) -> list[str]:
        return [path for path, _, _ in self.requests]

    def _handle(self, request: Request) -> Response:
        body = json.loads(request.get_data())
        self.requests.append((request.path, body, dict(request.headers)))
        if self._faults:
            return self._faults.popleft()()
        if self.most_bytes is not None and len(request.get_data()) > self.most_bytes:
            return Response('{"error": {"message": "too large"}}', 413)
        if body["model"] != self._model.name:
            return Response('{"error": {"message": "no such model"}}', 404)
        if self.breaks_at is not None:
            tokens, status, message = self.breaks_at
            if any(len(ids) > tokens for ids in self._inputs(body)):
                return Response(json.dumps({"error": {"message": message}}), status)
        if any(len(ids) > self._model.max_length for ids in self._inputs(body)):
            return Response('{"error": {"message": "maximum context length"}}', 400)
        answer = self._answer(request.path, body)
        if self._changes[request.path]:
            answer = self._changes[request.path].popleft()(answer)
        return Response(json.dumps(answer), 200, content_type="application/json")

    def _answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if path == "/tokenize":
            ids = self._model.tokenize(body["prompt"])
            return {"count": len(ids), "max_model_len": self._model.max_length, "tokens": ids}
        if path == "/detokenize":
            return {"prompt": self._model.detokenize(body["tokens"])}
        key = "embedding" if path == "/v1/embeddings" else "data"
        items = []
        for index, ids in enumerate(self._inputs(body)):
            values = self._pooled(body.get("task", "embed"), ids)
            if self._squeeze:
                values = values.squeeze()
            items.append({"index": index, "object": key, key: self._encoded(values, body)})
        return {"object": "list", "data": items, "model": self._model.name}

    def _inputs(self, body: dict[str, Any]) -> list[list[int]]:
        given = body.get("input", ())
        return [self._model.tokenize(each) if isinstance(each, str) else each for each in given]

    def _pooled(self, task: str, ids: Sequence[int]) -> np.ndarray:
        if task == "embed":
            return self._model.dense(ids)
        if task == "token_classify":
            return self._model.weights(ids)[1:-1]
        assert task == "token_embed"
        return self._model.rows(ids)[1:]

    def _encoded(self, values: np.ndarray, body: dict[str, Any]) -> Any:
        if body["encoding_format"] == "base64" and not self._is_mute:
            return base64.b64encode(values.astype("<f4").tobytes()).decode()
        return values.tolist()
