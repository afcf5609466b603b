"""A pytest plugin for `make mutants`."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Databases come after pytest-django's, so that they stand in for them."""
    config.pluginmanager.import_plugin("tests.mutation.databases")
