"""The pictures that README.md and docs/ show."""

import importlib.util
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

TOOLS = Path(__file__).parents[1] / "tools"

pytestmark = pytest.mark.skipif(not TOOLS.exists(), reason="tools are in the repository only")


def loaded(name):
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tool():
    return loaded("picture")


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


def test_the_pictures_of_time_left_are_those_that_the_estimator_makes():
    drawing = loaded("time_left")
    for name, picture in drawing.PICTURES.items():
        kept, drawn = (drawing.DOCS / name).read_text(), picture()
        ET.fromstring(drawn)  # noqa: S314 - we have just drawn it
        assert numbers(kept) == pytest.approx(numbers(drawn), abs=0.3)
        assert f"]({name})" in (drawing.DOCS / "time-left.md").read_text()


def numbers(text):
    return [float(number) for number in re.findall(r"-?[0-9]+(?:[.][0-9]+)?", text)]
