"""Python imports this when it starts, if this folder is on PYTHONPATH: that is the one switch.

It must do no harm in any interpreter, also one without headway, so it is written for old ones, catches all,
and gives way to the sitecustomize that it stands in front of.
"""


def _begin():  # type: ignore[no-untyped-def] # noqa: ANN202 - see above
    import os
    import sys

    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib costs each start 5 ms
    sys.path[:] = [place for place in sys.path if os.path.abspath(place or ".") != here]  # noqa: PTH100
    own = sys.modules.pop("sitecustomize", None)
    try:  # noqa: SIM105 - contextlib costs each start of Python
        import sitecustomize  # noqa: F401 - the other one
    except ImportError:
        pass
    if own is not None:
        sys.modules.setdefault("sitecustomize", own)
    try:
        from headway.programs import inside
    except Exception:  # noqa: BLE001 - another interpreter's program
        return
    inside.begin()


_begin()  # type: ignore[no-untyped-call]
