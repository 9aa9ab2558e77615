"""Structures: where they come from, their absorber sites, their labels."""
