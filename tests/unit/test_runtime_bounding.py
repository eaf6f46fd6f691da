"""Calls that their caller waits for no longer than it may."""

import contextvars
import os
import threading

import pytest

from trivec._runtime.bounding import bounded


def test_calls_one_after_another_share_a_thread():
    first = bounded(threading.current_thread, 30)
    assert first is not threading.current_thread()
    assert [bounded(threading.current_thread, 30) for _ in range(5)] == [first] * 5


def test_a_call_that_hangs_holds_up_no_other():
    let, ended = threading.Event(), threading.Event()

    def hang():
        let.wait(60)
        ended.set()
        return "late"

    with pytest.raises(TimeoutError):
        bounded(hang, 0.01)
    assert bounded(lambda: "prompt", 30) == "prompt"
    let.set()
    assert ended.wait(30)
    assert bounded(lambda: "after it", 30) == "after it"


def test_an_error_is_raised_where_the_caller_waits():
    with pytest.raises(ZeroDivisionError):
        bounded(lambda: 1 // 0, 30)
    assert bounded(lambda: 1, 30) == 1


def test_a_call_sees_the_context_of_its_caller():
    variable = contextvars.ContextVar("variable", default="unset")
    bounded(lambda: None, 30)  # the thread is there before
    token = variable.set("the caller's")
    try:
        assert bounded(variable.get, 30) == "the caller's"
    finally:
        variable.reset(token)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of processes with threads
def test_a_forked_process_makes_threads_of_its_own():
    bounded(lambda: None, 30)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if bounded(lambda: 7, 20) == 7 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
