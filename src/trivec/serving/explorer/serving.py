"""Serving the explorer on this machine's loopback address."""

from __future__ import annotations

import socket
from collections.abc import Callable

from trivec._runtime.dependencies import unavailable
from trivec._runtime.typed import checked
from trivec.errors import InputError
from trivec.index import HybridIndex
from trivec.serving.explorer.app import DEFAULT_OPTIONS, EXTRA, explorer_app
from trivec.serving.explorer.options import ExplorerOptions

__all__ = ["ADDRESS", "serve_explorer"]

ADDRESS = "127.0.0.1"


def _ignore(_url: str) -> None:
    pass


@checked
def serve_explorer(
    index: HybridIndex,
    options: ExplorerOptions = DEFAULT_OPTIONS,
    *,
    port: int = 7007,
    ready: Callable[[str], object] = _ignore,
) -> None:
    """Serve the explorer on 127.0.0.1 until Ctrl-C; there is no way to serve it elsewhere.

    Args:
        index: what is searched.
        options: what the page begins with, and what it can do besides.
        port: 0 takes a free one.
        ready: called with the page's address once it answers.

    Raises:
        InputError: the port is taken, or is none.
        MissingDependencyError: a package of the extra ``ui`` is not installed.
    """
    try:
        import uvicorn
    except ImportError as err:
        raise unavailable(err, "uvicorn", EXTRA) from err
    app = explorer_app(index, options)
    with _listening(port) as bound:
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,  # it would write questions into the log
            server_header=False,
            proxy_headers=False,
            lifespan="off",
            ws="none",
        )
        ready(f"http://{ADDRESS}:{bound.getsockname()[1]}/")
        uvicorn.Server(config).run(sockets=[bound])


def _listening(port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((ADDRESS, port))
        bound.listen()
    except (OSError, OverflowError) as err:
        bound.close()
        raise InputError(
            f"port={port} cannot be used: {err}; take another, or 0 for a free one"
        ) from err
    return bound
