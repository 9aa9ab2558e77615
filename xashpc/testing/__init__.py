"""Conformance suites that engines and models subclass."""
