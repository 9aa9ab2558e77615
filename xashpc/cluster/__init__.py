"""Clusters: site folders, schedulers, walltime, packing, and what jobs cost."""
