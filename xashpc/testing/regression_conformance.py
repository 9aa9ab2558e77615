"""The contract of a regression Model as tests: subclass it and name the model."""

from __future__ import annotations

import numpy as np
import pytest

from xashpc.errors import ModelError
from xashpc.testing.model_conformance import ModelConformance
from xashpc.training.regression import RegressionSchedule, RegressionTrainer


class RegressionConformance(ModelConformance):
    """Tests that every regression network passes; what classifiers alone keep is replaced."""

    input_shape = (20,)
    n_outputs = 6

    def test_outputs_are_probabilities(self, model):
        """Of a regression: any finite numbers, one a target."""
        outputs = np.asarray(self.build(model)(self.samples(9), training=False))
        assert outputs.shape == (9, self.n_outputs)
        assert np.isfinite(outputs).all()
        assert model.task == "regression"

    def test_training_fits_separable_classes_and_repeats(self, model):
        """Of a regression: a linear map is learnt, and learnt again from the same seed."""
        generator = np.random.default_rng(1)
        x = generator.normal(size=(96, *self.input_shape))
        y = x[:, : self.n_outputs] - 0.5 * x[:, 1 : self.n_outputs + 1]
        schedule = RegressionSchedule(epochs=60, learning_rate=2e-3)
        trainer = RegressionTrainer(model, self.input_shape, self.n_outputs, schedule)
        losses = trainer.fit(x, y, seed=3)
        first = trainer.predict(x)
        assert losses[-1] < 0.5 * losses[0]
        assert ((first - y) ** 2).mean() < 0.25 * (y**2).mean()
        trainer.fit(x, y, seed=4)
        assert not np.array_equal(first, trainer.predict(x))
        trainer.fit(x, y, seed=3)
        np.testing.assert_array_equal(first, trainer.predict(x))

    def test_a_wrong_shape_or_one_output_is_refused(self, model):
        """Of a regression: one output is fine, none is not."""
        with pytest.raises(ModelError):
            model.build((0,), self.n_outputs, 0)
        with pytest.raises(ModelError):
            model.build(self.input_shape, 0, 0)
        assert model.build(self.input_shape, 1, 0).output_shape == (None, 1)
