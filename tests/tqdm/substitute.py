"""A pytest plugin for tqdm's own tests: wherever they say tqdm, they get our subclass."""

from importlib.util import find_spec

import tqdm
import tqdm.asyncio
import tqdm.auto
import tqdm.contrib
import tqdm.contrib.concurrent
import tqdm.contrib.itertools
import tqdm.contrib.logging
import tqdm.std

import headway.tqdm
import headway.tqdm.asyncio
import headway.tqdm.auto


def replace(module, **names):
    for name, value in names.items():
        assert hasattr(module, name), (module, name)
        setattr(module, name, value)


ours, auto = headway.tqdm.tqdm, headway.tqdm.auto.tqdm
in_asyncio = headway.tqdm.asyncio.tqdm_asyncio
replace(tqdm, tqdm=ours)
replace(tqdm.std, tqdm=ours)
replace(tqdm.auto, tqdm=auto)
replace(tqdm.asyncio, tqdm=in_asyncio, tqdm_asyncio=in_asyncio)
replace(tqdm.contrib, tqdm=ours, tqdm_auto=auto)
replace(tqdm.contrib.concurrent, tqdm_auto=auto)
replace(tqdm.contrib.itertools, tqdm_auto=auto)
replace(tqdm.contrib.logging, std_tqdm=ours)
if find_spec("dask"):
    import tqdm.dask

    replace(tqdm.dask, tqdm_auto=auto)
