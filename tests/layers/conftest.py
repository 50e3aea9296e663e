"""On TensorFlow, layers are tested in graphs, where sides of images may be unknown."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def in_graphs(within_graphs):
    """Run every test of a module within graphs."""
    with within_graphs():
        yield
