"""The settings of a measurement: production's, but for the simulator in SumUp's place."""

from config.settings import *  # noqa: F403  (a settings module is its names)

DEBUG = False
TEMPLATES[0]["APP_DIRS"] = True  # noqa: F405
LOG_LEVEL = "WARNING"
LOGGING["root"]["level"] = "WARNING"  # type: ignore[index]  # noqa: F405  (a dict of dicts)
