"""The picture of the terminal that README.md shows."""

import importlib.util
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

TOOL = Path(__file__).parents[1] / "tools" / "picture.py"

pytestmark = pytest.mark.skipif(not TOOL.exists(), reason="tools are in the repository only")


@pytest.fixture
def tool():
    spec = importlib.util.spec_from_file_location("picture", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_same_snapshots_give_the_same_picture(tool):
    drawn = tool.draw(tool.screens(tool.recorded()))
    assert drawn == tool.draw(tool.screens(tool.recorded()))
    root = ET.fromstring(drawn)  # noqa: S314 - we have just drawn it
    text = "".join(root.itertext()).replace("\N{NO-BREAK SPACE}", " ")
    assert "headway demo" in text
    assert "under xz" in text
    assert "http" not in drawn.replace("http://www.w3.org/2000/svg", ""), "nothing is loaded from elsewhere"


def test_one_frame_stands_still_for_those_who_asked_for_less_motion(tool):
    assert tool.draw(tool.screens(tool.recorded())).count('class="frame still"') == 1
