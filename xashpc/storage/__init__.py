"""Storage: documents in MongoDB, arrays in zarr, and nothing else that persists."""
