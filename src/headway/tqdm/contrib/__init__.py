"""`tqdm.contrib`, reported."""
