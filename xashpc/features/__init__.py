"""Features: scaling, augmentation, splits and projections."""
