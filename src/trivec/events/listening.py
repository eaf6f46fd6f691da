"""Who listens, and how an event reaches them; while nobody does, nothing is built."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeAlias

from trivec._runtime.typed import checked
from trivec.events.types import Event, without_text

__all__ = ["EventListener", "Subscription", "is_listened", "listen", "tell"]

logger = logging.getLogger(__name__)

EventListener: TypeAlias = Callable[[Event], object]
"""Called with each event, in the thread and the context of the search or answer that has ended."""


class Subscription:
    """A listener that is called until :meth:`close`; ``with`` closes it in the end.

    :func:`listen` makes it.
    """

    def __init__(self, listener: EventListener, *, text: bool) -> None:
        self._listener = listener
        self._text = text
        self._failed = False

    def close(self) -> None:
        """Call the listener no more. Closing twice is fine."""
        global _subscriptions  # noqa: PLW0603  # replaced whole, so that readers need no lock
        with _lock:
            _subscriptions = tuple(one for one in _subscriptions if one is not self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _tell(self, event: Event) -> None:
        try:
            self._listener(event if self._text else without_text(event))
        except Exception as err:  # noqa: BLE001  # whatever a listener of anybody's raises
            if not self._failed:
                self._failed = True
                logger.warning(
                    "a listener failed with %s; searches and answers go on, and it is called "
                    "again, but further failures of it are not logged",
                    type(err).__name__,
                )


_lock = threading.Lock()
_subscriptions: tuple[Subscription, ...] = ()


@checked
def listen(listener: EventListener, *, text: bool = False) -> Subscription:
    """Call a function with one event for every search and every answer of this process.

    It is called when the search or answer has ended, in the same thread and context, before the
    caller gets the result: on an event loop it must not block. An error of the listener is logged
    once and breaks nothing.

    Args:
        listener: what is called, with a :class:`SearchEvent` or an :class:`AnswerEvent`.
        text: whether events hold questions and answers; without, no text of anybody.

    Example:
        >>> from trivec.events import listen
        >>> with listen(lambda event: None):
        ...     pass
    """
    global _subscriptions  # noqa: PLW0603  # replaced whole, so that readers need no lock
    subscription = Subscription(listener, text=text)
    with _lock:
        _subscriptions = (*_subscriptions, subscription)
    return subscription


def is_listened() -> bool:
    """Say whether anybody listens."""
    return bool(_subscriptions)


def tell(event: Event) -> None:
    """Call every listener."""
    for subscription in _subscriptions:
        subscription._tell(event)  # noqa: SLF001  # this module's own
