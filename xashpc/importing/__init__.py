"""Importing: existing spectra become results of the same kind as computed ones."""
