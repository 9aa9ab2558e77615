"""Training: loops, evaluation and scores."""
