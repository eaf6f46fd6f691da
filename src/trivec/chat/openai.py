"""A chat model behind the OpenAI protocol: OpenAI itself, or vLLM, llama.cpp, Ollama and others.

The ``openai`` client does the talking, the retries and the decoding of streams; this module turns
messages into its requests, and its answers and errors into trivec's.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, TypeVar

from trivec._runtime.checks import check_choice, check_least
from trivec._runtime.lazy import Lazy
from trivec.chat.openai_errors import model_errors, refuses_format
from trivec.errors import InputError, MissingDependencyError, ModelError
from trivec.protocols import Secret
from trivec.types import ChatReply

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

__all__ = ["ChatOptions", "OpenAIChat", "SchemaForm", "SchemaRefused", "response_format"]

logger = logging.getLogger(__name__)

SchemaForm: TypeAlias = Literal["json_schema", "json_object", "none"]
"""How a JSON schema is handed to the server; see :class:`ChatOptions`."""

"""How a JSON schema is asked for."""
SchemaRefused: TypeAlias = Literal["raise", "ask_without"]
"""What becomes of an answer whose schema the server refuses."""
Client = TypeVar("Client")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatOptions:
    """What a server is asked for besides the answer.

    Attributes:
        temperature: 0 for the likeliest answer; None leaves it to the server, as some demand.
        max_tokens: where an answer is cut off; None leaves it to the server.
        seed: for servers that can repeat an answer.
        schema_form: how a JSON schema is asked for. ``json_schema``: OpenAI's structured outputs,
            which vLLM, llama.cpp and Ollama take too; ``json_object``: ``{"type": "json_object",
            "schema": ...}``, as the server of llama-cpp-python wants it; ``none``: never.
        schema_refused: what becomes of an answer whose schema the server refuses with status 400
            or 422: ``raise``, or ``ask_without`` asks again without one and logs a warning.
        stream_usage: ask for token counts at the end of a stream; False for servers that refuse it.
        extra_body: fields that this server takes besides, sent as they are.
    """

    temperature: float | None = 0.0
    max_tokens: int | None = None
    seed: int | None = None
    schema_form: SchemaForm = "json_schema"
    schema_refused: SchemaRefused = "raise"
    stream_usage: bool = True
    extra_body: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_choice("schema_form", self.schema_form, SchemaForm)
        check_choice("schema_refused", self.schema_refused, SchemaRefused)
        check_least("max_tokens", self.max_tokens, 1, or_none=True)


DEFAULT_OPTIONS = ChatOptions()


class OpenAIChat:
    """A chat model behind the ``openai`` client, called and awaited.

    It is a :class:`trivec.protocols.ChatModel` and a :class:`trivec.protocols.AsyncChatModel`.
    Safe to use from several threads. Retries and timeouts are the client's. An asynchronous
    client belongs to one event loop, as always.

    Args:
        client: an ``openai.OpenAI``, or a function that builds one at the first call, for ``chat``
            and ``stream``.
        async_client: the same with ``openai.AsyncOpenAI``, for ``achat`` and ``astream``.
        model: what the server calls the model.
        options: what is asked for besides.

    Raises:
        InputError: neither client, or no model.

    Example:
        >>> chat = OpenAIChat.connect("qwen3", base_url="http://localhost:8000/v1", api_key="none")
        >>> chat.chat([{"role": "user", "content": "Say hello."}]).text  # doctest: +SKIP
        'Hello!'
    """

    def __init__(
        self,
        client: OpenAI | Callable[[], OpenAI] | None = None,
        async_client: AsyncOpenAI | Callable[[], AsyncOpenAI] | None = None,
        *,
        model: str,
        options: ChatOptions = DEFAULT_OPTIONS,
    ) -> None:
        if client is None and async_client is None:
            raise InputError("give client or async_client, or use OpenAIChat.connect(model, ...)")
        if not model.strip():
            raise InputError("model is blank; give the name that the server knows it by")
        self._client = _lazy(client)
        self._async_client = _lazy(async_client)
        self._model = model
        self._options = options

    @classmethod
    def connect(
        cls,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | Secret | None = None,
        timeout: float = 60.0,
        max_retries: int = 2,
        options: ChatOptions = DEFAULT_OPTIONS,
    ) -> Self:
        """Return a chat whose clients are built at the first call; nothing is opened before.

        Args:
            model: what the server calls the model.
            base_url: where the server is, with its ``/v1``; None: the variable
                ``OPENAI_BASE_URL``, else OpenAI.
            api_key: None reads the variable ``OPENAI_API_KEY``. A server without keys takes any.
            timeout: seconds for one try.
            max_retries: tries besides the first, after status 408, 409, 429, 5xx and connections
                that fail; the client waits as ``Retry-After`` says.
            options: what is asked for besides.
        """
        settings = {"base_url": base_url, "timeout": timeout, "max_retries": max_retries}
        return cls(
            lambda: _built("OpenAI", api_key, settings),
            lambda: _built("AsyncOpenAI", api_key, settings),
            model=model,
            options=options,
        )

    @property
    def identity(self) -> str:
        """The server, the model and what it is asked with: equal ones answer alike."""
        clients = [client for client in (self._client, self._async_client) if client is not None]
        client: Any = next((client for client in clients if client.ready), clients[0])()
        return f"{client.base_url} {self._model} {self._options}"

    def chat(
        self, messages: Sequence[Mapping[str, str]], *, schema: Mapping[str, Any] | None = None
    ) -> ChatReply:
        """Return the whole answer; see :meth:`trivec.protocols.ChatModel.chat`.

        Raises:
            ModelUnavailableError: the server cannot be reached, is overloaded or failed, after
                the client's retries.
            ModelError: it refused the key or the request, or its answer cannot be read.
        """
        create = self._synchronous().chat.completions.create
        for request in self._requests(messages, schema):
            with model_errors(self._model):
                try:
                    return _whole(create(**request))
                except Exception as err:
                    if not self._may_ask_without(request, err):
                        raise
        raise AssertionError  # the last request has no schema to be refused

    def stream(self, messages: Sequence[Mapping[str, str]]) -> Iterator[ChatReply]:
        """Yield the answer piece by piece; the last piece is empty and has the token counts.

        Raises:
            ModelUnavailableError: as :meth:`chat`, and where the stream breaks off.
            ModelError: as :meth:`chat`.
        """
        create = self._synchronous().chat.completions.create
        pieces = _Pieces()
        with model_errors(self._model), create(**self._stream_request(messages)) as events:
            for event in events:
                if text := pieces.read(event):
                    yield ChatReply(text)
            last = pieces.last()
        yield last

    async def achat(
        self, messages: Sequence[Mapping[str, str]], *, schema: Mapping[str, Any] | None = None
    ) -> ChatReply:
        """Return the whole answer; see :meth:`chat`."""
        create = self._asynchronous().chat.completions.create
        for request in self._requests(messages, schema):
            with model_errors(self._model):
                try:
                    return _whole(await create(**request))
                except Exception as err:
                    if not self._may_ask_without(request, err):
                        raise
        raise AssertionError  # the last request has no schema to be refused

    async def astream(self, messages: Sequence[Mapping[str, str]]) -> AsyncIterator[ChatReply]:
        """Yield the answer piece by piece; see :meth:`stream`."""
        create = self._asynchronous().chat.completions.create
        pieces = _Pieces()
        with model_errors(self._model):
            async with await create(**self._stream_request(messages)) as events:
                async for event in events:
                    if text := pieces.read(event):
                        yield ChatReply(text)
                last = pieces.last()
        yield last

    def close(self) -> None:
        """Close the connections of the client for ``chat`` and ``stream``."""
        if self._client is not None and self._client.ready:
            self._client().close()

    async def aclose(self) -> None:
        """Close the connections of the client for ``achat`` and ``astream``."""
        if self._async_client is not None and self._async_client.ready:
            await self._async_client().close()

    def __repr__(self) -> str:
        return f"OpenAIChat(model={self._model!r})"

    def _synchronous(self) -> Any:
        # Any: the client's overloads cannot be matched by a request that is a dict
        return _required(self._client, "client", "chat and stream")

    def _asynchronous(self) -> Any:
        return _required(self._async_client, "async_client", "achat and astream")

    def _requests(
        self, messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any] | None
    ) -> Iterator[dict[str, Any]]:
        """Yield the request, and where it has a schema the same without."""
        plain = self._request(messages)
        form = self._options.schema_form
        if schema is not None and form == "json_schema":
            yield {**plain, "response_format": response_format(schema)}
        elif schema is not None and form == "json_object":
            yield {**plain, "response_format": {"type": form, "schema": dict(schema)}}
        yield plain

    def _may_ask_without(self, request: Mapping[str, Any], error: Exception) -> bool:
        if self._options.schema_refused == "raise" or not refuses_format(request, error):
            return False
        logger.warning("%s refuses a JSON schema; asking without one", self._model)
        return True

    def _stream_request(self, messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
        usage = {"stream_options": {"include_usage": True}} if self._options.stream_usage else {}
        return {**self._request(messages), "stream": True, **usage}

    def _request(self, messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
        options = self._options
        given = {
            "temperature": options.temperature,
            "max_tokens": options.max_tokens,
            "seed": options.seed,
            "extra_body": dict(options.extra_body) or None,
        }
        return {
            "model": self._model,
            "messages": [dict(message) for message in messages],
            **{name: value for name, value in given.items() if value is not None},
        }


def response_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ``response_format`` that asks for a JSON schema, as OpenAI defines it."""
    named = {"name": "reply", "schema": dict(schema), "strict": True}
    return {"type": "json_schema", "json_schema": named}


class _Pieces:
    """Reads the events of a stream."""

    def __init__(self) -> None:
        self._usage: Any = None
        self._ended: str | None = None

    def read(self, event: Any) -> str:
        """Return what an event adds to the answer."""
        self._usage = getattr(event, "usage", None) or self._usage
        if not event.choices:  # the event that only counts tokens
            return ""
        self._ended = event.choices[0].finish_reason or self._ended
        return event.choices[0].delta.content or ""

    def last(self) -> ChatReply:
        """Return the last piece.

        Raises:
            ConnectionError: the server never said that the answer is whole.
        """
        if self._ended is None:
            raise ConnectionError
        return _reply("", self._usage, self._ended)


def _whole(completion: Any) -> ChatReply:
    choices = getattr(completion, "choices", None)
    if not choices:
        raise ModelError(
            "the server's answer is not a chat completion; check base_url, which ends in /v1"
        )
    message = choices[0].message
    text = message.content or getattr(message, "refusal", None) or ""
    return _reply(text, completion.usage, choices[0].finish_reason)


def _reply(text: str, usage: Any, finish_reason: str) -> ChatReply:
    return ChatReply(
        text,
        input_tokens=getattr(usage, "prompt_tokens", None),
        output_tokens=getattr(usage, "completion_tokens", None),
        truncated=finish_reason == "length",
    )


def _lazy(client: Client | Callable[[], Client] | None) -> Lazy[Client] | None:
    if client is None:
        return None
    made = client
    return Lazy(made) if callable(made) else Lazy(lambda: made)


def _required(client: Lazy[Client] | None, name: str, used_by: str) -> Client:
    if client is None:
        raise InputError(f"{used_by} need {name}; give it, or use OpenAIChat.connect(model, ...)")
    return client()


def _built(kind: str, api_key: str | Secret | None, settings: Mapping[str, Any]) -> Any:
    try:
        import openai
    except ImportError as err:
        raise MissingDependencyError(err.name or "openai", "openai") from err
    key = api_key if api_key is None or isinstance(api_key, str) else api_key.get_secret_value()
    make: Callable[..., Any] = getattr(openai, kind)
    try:
        return make(api_key=key, **settings)
    except openai.OpenAIError as err:
        raise InputError(
            "there is no API key; give api_key, or set the variable OPENAI_API_KEY "
            "(any text for a server without keys)"
        ) from err
