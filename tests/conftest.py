"""What all tests have in common."""

import os

from hypothesis import settings

if "CI" not in os.environ:  # there hypothesis has a profile of its own
    settings.register_profile("headway", deadline=None, print_blob=True)
    settings.load_profile("headway")
