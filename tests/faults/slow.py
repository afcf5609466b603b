"""The settings of a shop that can be asked for something that takes long."""

from benchmarks.settings import *  # noqa: F403  (a settings module is its names)

ROOT_URLCONF = "tests.faults.slow_urls"
