"""Models: one module for each network, behind the contract in ``base``."""
