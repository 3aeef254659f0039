"""Each error is the builtin that a caller would expect, and reads as one clear line."""

import inspect
import pickle

import pytest

from haversack import errors

ALL = [
    error
    for _, error in inspect.getmembers(errors, inspect.isclass)
    if issubclass(error, errors.HaversackError)
]


@pytest.mark.parametrize("error", ALL)
def test_message_survives_printing_and_pickling(error):
    raised = error("what, where, what next")
    assert str(raised) == "what, where, what next"
    copy = pickle.loads(pickle.dumps(raised))
    assert type(copy) is error
    assert str(copy) == str(raised)


@pytest.mark.parametrize("error", ALL[1:])
def test_every_error_is_drawn_in_the_tree(error):
    assert error.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize("error", [e for e in ALL if e is not errors.HaversackError])
def test_every_error_is_a_builtin_too(error):
    builtins = [b for b in error.__mro__ if b.__module__ == "builtins"]
    assert builtins[:-3] or error is errors.NotFoundError, builtins
