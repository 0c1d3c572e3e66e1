"""A door that a server of its own serves; ``runs`` names server, app and environment."""

import pytest

from headway.testing import WebContract


class Served(WebContract):
    @pytest.fixture
    def url(self, served):
        return served[0].url

    @pytest.fixture
    def hw(self, served):
        return served[1]
