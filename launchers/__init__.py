"""Files that ship with xashpc; found through importlib.resources."""
