"""Doing something right after a module has been imported, whoever imports it, and not before."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def after(calls: Mapping[str, Callable[[Any], object]]) -> None:
    """Call each with the module of that name: now if it has been imported, else when it is."""
    for name, call in calls.items():
        if name in sys.modules:
            call(sys.modules[name])
    sys.meta_path.insert(0, _After(calls))


class _After:
    """Finds what the other finders find, and has it call back."""

    def __init__(self, calls: Mapping[str, Callable[[Any], object]]) -> None:
        self._calls = calls

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """As importlib asks it of a finder."""
        call = self._calls.get(name)
        if call is None:
            return None
        others = (finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec"))
        spec: Any = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            execute(module)
            if module.__name__ == name:  # the loader may be one of several modules
                call(module)

        spec.loader.exec_module = exec_module
        return spec
