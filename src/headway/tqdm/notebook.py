"""`tqdm.notebook`, reported."""

from __future__ import annotations

from typing import Any

from tqdm import notebook

from headway.tqdm.reported import Reported

__all__ = ["tnrange", "tqdm", "tqdm_notebook", "trange"]


class tqdm_notebook(Reported, notebook.tqdm_notebook):  # noqa: N801 - tqdm's own name
    """`tqdm.notebook.tqdm`, reported."""


def tnrange(*args: int, **options: Any) -> tqdm_notebook:
    """``tqdm(range(*args), **options)``."""
    return tqdm_notebook(range(*args), **options)


tqdm = tqdm_notebook
trange = tnrange
