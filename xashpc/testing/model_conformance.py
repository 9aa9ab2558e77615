"""The contract of a Model as tests: subclass it, name the model, and pytest runs them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from xashpc.errors import ConfigError, ModelError
from xashpc.models.base import Model
from xashpc.training.loop import Schedule, Trainer
from xashpc.training.saved import read_network


class ModelConformance:
    """Tests that every classifier passes.

    A subclass sets :attr:`model_class`, and where needed the shape of a sample::

        class TestLceMlp(ModelConformance):
            model_class = LceMlp
    """

    model_class: type[Model]
    input_shape: tuple[int, ...] = (100,)
    n_outputs: int = 3

    @pytest.fixture
    def model(self) -> Model:
        return self.model_class()

    def samples(self, n_samples: int) -> np.ndarray:
        """Scaled spectra, (n_samples, *input_shape) float32, always the same."""
        generator = np.random.default_rng(7)
        return generator.normal(size=(n_samples, *self.input_shape)).astype(np.float32)

    def build(self, model: Model, seed: int = 0) -> Any:
        return model.build(self.input_shape, self.n_outputs, seed)

    def test_outputs_are_probabilities(self, model):
        outputs = np.asarray(self.build(model)(self.samples(9), training=False))
        assert outputs.shape == (9, self.n_outputs)
        assert (outputs >= 0).all()
        np.testing.assert_allclose(outputs.sum(axis=1), 1, atol=1e-5)

    def test_the_same_seed_builds_the_same_network(self, model):
        first, second = self.build(model, 5), self.build(model, 5)
        for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)

    def test_another_seed_builds_another_network(self, model):
        first, second = self.build(model, 5), self.build(model, 6)
        assert any(
            not np.array_equal(one, other)
            for one, other in zip(first.get_weights(), second.get_weights(), strict=True)
        )

    def test_a_row_is_judged_alone(self, model):
        """No output depends on which other rows are in the batch."""
        network, x = self.build(model), self.samples(8)
        together = np.asarray(network(x, training=False))
        for row, expected in enumerate(together):
            alone = np.asarray(network(x[row : row + 1], training=False))[0]
            np.testing.assert_allclose(alone, expected, atol=1e-5)

    def test_a_network_can_be_saved_and_read_again(self, model, tmp_path):
        network, x = self.build(model), self.samples(4)
        network.save(tmp_path / "network.keras")
        again = read_network(tmp_path / "network.keras")
        np.testing.assert_allclose(network(x, training=False), again(x, training=False), atol=1e-6)

    def test_training_fits_separable_classes_and_repeats(self, model):
        generator = np.random.default_rng(1)
        y = np.arange(90) % self.n_outputs
        centres = generator.normal(size=(self.n_outputs, *self.input_shape))
        x = centres[y] + 0.3 * generator.normal(size=(90, *self.input_shape))
        trainer = Trainer(model, self.input_shape, self.n_outputs, Schedule(epochs=40))
        losses = trainer.fit(x, y, seed=3)
        first = trainer.predict(x)
        assert losses[-1] < losses[0]
        assert (first.argmax(axis=1) == y).mean() > 0.9
        trainer.fit(x, y, seed=4)
        assert not np.array_equal(first, trainer.predict(x))
        trainer.fit(x, y, seed=3)
        np.testing.assert_array_equal(first, trainer.predict(x))

    def test_a_wrong_shape_or_one_output_is_refused(self, model):
        with pytest.raises(ModelError):
            model.build((0,), self.n_outputs, 0)
        with pytest.raises(ModelError):
            model.build(self.input_shape, 1, 0)

    def test_an_unknown_setting_is_refused_with_the_known_ones(self):
        with pytest.raises(ConfigError, match="no_such_setting"):
            self.model_class(no_such_setting=1)

    def test_it_describes_itself_in_plain_values_with_a_citation(self, model):
        card = json.loads(json.dumps(model.describe()))
        assert card["name"] == model.name
        assert card["citation"]
        assert card["hyper_parameters"]
