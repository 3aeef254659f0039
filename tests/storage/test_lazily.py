"""An attribute that is worked out late takes no lock, which a forked child would find taken."""

import os
import threading

import pytest

from haversack.storage.lazily import lazily


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_that_is_forked_meanwhile_works_it_out_itself():
    begun, ended = threading.Event(), threading.Event()
    parent = os.getpid()

    class Slow:
        @lazily
        def answer(self):
            if os.getpid() == parent:
                begun.set()
                ended.wait()
            return 42

    slow = Slow()
    thread = threading.Thread(target=lambda: slow.answer)
    thread.start()
    begun.wait()
    child = os.fork()
    if child == 0:
        os._exit(slow.answer)
    _, status = os.waitpid(child, 0)
    ended.set()
    thread.join()
    assert os.waitstatus_to_exitcode(status) == 42
    assert slow.answer == 42
