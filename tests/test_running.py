"""A test whose program fails shows why."""

import pytest
from tests.running import run_python


def test_what_a_program_prints_is_given():
    assert run_python("import sys; print(sys.argv[1:])", 1, "b") == "['1', 'b']\n"


def test_what_a_failing_program_complains_of_is_in_the_report():
    with pytest.raises(AssertionError, match=r"ended with 1; it wrote\nbefore\n(.*\n)*.*the cause"):
        run_python("print('before'); raise ValueError('the cause')")


def test_what_a_hanging_program_wrote_is_in_the_report():
    program = "import time; print('begun', flush=True); time.sleep(99)"
    with pytest.raises(AssertionError, match=r"did not end in 2 s; it wrote\nbegun"):
        run_python(program, timeout=2)
