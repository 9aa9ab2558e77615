"""Processing: checks, duplicates, grids and averages, with Dask."""
