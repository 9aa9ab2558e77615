"""xashpc: high-throughput x-ray absorption calculations, from structures to trained networks."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("xashpc")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
