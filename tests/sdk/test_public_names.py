"""What `import vitale_reader` gives."""

import pytest

import vitale_reader
import vitale_reader.errors
from vitale_protocol import errors


def test_every_public_name_is_there() -> None:
    for name in vitale_reader.__all__:
        assert getattr(vitale_reader, name) is not None
    assert set(vitale_reader.__all__) <= set(dir(vitale_reader))


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    name = "nothing"
    with pytest.raises(AttributeError):
        getattr(vitale_reader, name)


def test_the_errors_are_those_of_the_protocol() -> None:
    assert set(vitale_reader.errors.__all__) == set(errors.__all__)
    for name in errors.__all__:
        assert getattr(vitale_reader.errors, name) is getattr(errors, name)
