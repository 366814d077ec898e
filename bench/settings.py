"""The settings with the yardsticks of bench/constant.py beside the site's own addresses."""

from ragsite.settings import *  # noqa: F403

ROOT_URLCONF = "bench.constant"
