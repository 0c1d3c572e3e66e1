import json

from tests.golden import words as golden


def test_the_golden_words_are_what_python_says():
    """The browser's tests read the same file; `python -m tests.golden.words` writes it."""
    assert json.loads(golden.FILE.read_text()) == golden.golden()
