"""A chat model behind the OpenAI protocol: OpenAI itself, or vLLM, llama.cpp, Ollama and others.

The ``openai`` client does the talking, the retries and the decoding of streams; this module turns
messages into its requests, and its answers and errors into trivec's.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar

from trivec._runtime.lazy import Lazy
from trivec._runtime.secrets import Key
from trivec._runtime.typed import checked
from trivec.chat.listening import Listener
from trivec.chat.openai_client import built
from trivec.chat.openai_errors import Failures
from trivec.chat.openai_events import Events, whole_reply
from trivec.chat.openai_options import ChatOptions, ParametersRefused, SchemaForm, SchemaRefused
from trivec.chat.openai_requests import Asking, Requests, response_format
from trivec.errors import InputError
from trivec.protocols import Secret
from trivec.types import ChatReply

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

__all__ = [
    "ChatOptions",
    "OpenAIChat",
    "ParametersRefused",
    "SchemaForm",
    "SchemaRefused",
    "response_format",
]

Client = TypeVar("Client")

_THINKERS = re.compile(r"(?:^|[^a-z])(?:r1|qwq)(?:[^a-z]|$)|think|reason", re.IGNORECASE)


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

    @checked
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
        self._requests = Requests(model, options)
        self._thinks_first = options.thinks_first
        if options.thinks_first is None and _THINKERS.search(model):
            self._thinks_first = True

    @classmethod
    @checked
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
            timeout: seconds for one whole try; of a stream, for its beginning and each line.
            max_retries: tries besides the first, after status 408, 409, 429, 5xx and connections
                that fail; the client waits as ``Retry-After`` says.
            options: what is asked for besides.
        """
        settings = {"base_url": base_url, "timeout": timeout, "max_retries": max_retries}
        key = Key(api_key)
        del api_key  # no frame holds it
        return cls(
            lambda: built("OpenAI", key, settings),
            lambda: built("AsyncOpenAI", key, settings),
            model=model,
            options=options,
        )

    @property
    def identity(self) -> str:
        """The server, the model and what it is asked with: equal ones answer alike."""
        clients = [client for client in (self._client, self._async_client) if client is not None]
        client: Any = next((client for client in clients if client.ready), clients[0])()
        return f"{client.base_url} {self._model} {self._options}"

    @checked
    def chat(
        self, messages: Sequence[Mapping[str, str]], *, schema: Mapping[str, Any] | None = None
    ) -> ChatReply:
        """Return the whole answer; see :meth:`trivec.protocols.ChatModel.chat`.

        Raises:
            ModelUnavailableError: the server cannot be reached, is overloaded or failed, after
                the client's retries.
            ModelError: it refused the key or the request, or its answer cannot be read.
        """
        create, failures = self._synchronous()
        asking = Asking(self._requests.whole(messages, schema), self._requests, failures)
        return self._read(_begun(create, asking), asking)

    @checked
    def stream(self, messages: Sequence[Mapping[str, str]]) -> Iterator[ChatReply]:
        """Yield the answer piece by piece; the last piece is empty and has the token counts.

        Thoughts are left out.

        Raises:
            ModelUnavailableError: as :meth:`chat`, and where the stream breaks off.
            ModelError: as :meth:`chat`.
        """
        create, failures = self._synchronous()
        asking = Asking(self._requests.streamed(messages), self._requests, failures)
        stream = _begun(create, asking)
        events = self._events(stream, asking)
        try:
            while not events.is_over:
                failure, pieces = None, []
                try:
                    if events.is_whole:
                        pieces = events.read_whole(stream.response.read())
                    else:
                        pieces = events.read(next(stream, None))
                except Exception as err:  # noqa: BLE001  # whatever the client raises
                    failure = asking.failed(err)
                if failure is not None:
                    raise failure
                yield from pieces
        finally:
            stream.close()
            self._learn(events.listener)

    @checked
    async def achat(
        self, messages: Sequence[Mapping[str, str]], *, schema: Mapping[str, Any] | None = None
    ) -> ChatReply:
        """Return the whole answer; see :meth:`chat`."""
        create, failures = self._asynchronous()
        asking = Asking(self._requests.whole(messages, schema), self._requests, failures)
        return self._read(await _abegun(create, asking), asking)

    @checked
    async def astream(self, messages: Sequence[Mapping[str, str]]) -> AsyncIterator[ChatReply]:
        """Yield the answer piece by piece; see :meth:`stream`."""
        create, failures = self._asynchronous()
        asking = Asking(self._requests.streamed(messages), self._requests, failures)
        stream = await _abegun(create, asking)
        events = self._events(stream, asking)
        try:
            while not events.is_over:
                failure, pieces = None, []
                try:
                    if events.is_whole:
                        pieces = events.read_whole(await stream.response.aread())
                    else:
                        pieces = events.read(await anext(stream, None))
                except Exception as err:  # noqa: BLE001  # whatever the client raises
                    failure = asking.failed(err)
                if failure is not None:
                    raise failure
                for piece in pieces:
                    yield piece
        finally:
            await stream.close()
            self._learn(events.listener)

    def close(self) -> None:
        """Close the connections of the client for ``chat`` and ``stream``."""
        if self._client is not None and self._client.ready:
            self._client().close()

    async def aclose(self) -> None:
        """Close the connections of the client for ``achat`` and ``astream``."""
        if self._async_client is not None and self._async_client.ready:
            await self._async_client().close()

    def __copy__(self) -> Self:
        return self  # nothing of it changes

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "an OpenAIChat holds a connection and its key, and cannot be pickled; connect where it "
            "is needed"
        )

    def __repr__(self) -> str:
        return f"OpenAIChat(model={self._model!r})"

    def _synchronous(self) -> tuple[Callable[..., Any], Failures]:
        # Any: the client's overloads cannot be matched by a request that is a dict
        client: Any = _required(self._client, "client", "chat and stream")
        return client.chat.completions.create, self._failures(client)

    def _asynchronous(self) -> tuple[Callable[..., Any], Failures]:
        client: Any = _required(self._async_client, "async_client", "achat and astream")
        return client.chat.completions.create, self._failures(client)

    def _failures(self, client: Any) -> Failures:
        return Failures(self._model, Key(getattr(client, "api_key", None)))

    def _events(self, stream: Any, asking: Asking) -> Events:
        listener = Listener(thinks_first=self._thinks_first)
        return Events(getattr(stream, "response", None), listener, asking.failures, asking.request)

    def _read(self, answer: Any, asking: Asking) -> ChatReply:
        listener = Listener(thinks_first=self._thinks_first)
        reply = whole_reply(answer, listener, asking.failures, asking.request)
        self._learn(listener)
        return reply

    def _learn(self, listener: Listener) -> None:
        """Remember that this model's thoughts have no opening tag."""
        if listener.lone_close and self._options.thinks_first is None:
            self._thinks_first = True


def _begun(create: Callable[..., Any], asking: Asking) -> Any:
    """Send a request, again where the server refused a part of it that can be changed."""
    while True:
        try:
            return create(**asking.request)
        except Exception as err:  # noqa: BLE001  # whatever the client raises
            failure = asking.failed(err)
        if failure is not None:
            raise failure


async def _abegun(create: Callable[..., Any], asking: Asking) -> Any:
    while True:
        try:
            return await create(**asking.request)
        except Exception as err:  # noqa: BLE001  # whatever the client raises
            failure = asking.failed(err)
        if failure is not None:
            raise failure


def _lazy(client: Client | Callable[[], Client] | None) -> Lazy[Client] | None:
    if client is None:
        return None
    made = client
    return Lazy(made) if callable(made) else Lazy(lambda: made)


def _required(client: Lazy[Client] | None, name: str, used_by: str) -> Client:
    if client is None:
        raise InputError(f"{used_by} need {name}; give it, or use OpenAIChat.connect(model, ...)")
    return client()
