"""Published scores and class counts that a campaign is held against, with their source."""

from __future__ import annotations

from dataclasses import dataclass

SOURCE = "Carbone et al., Phys. Rev. Materials 3, 033604 (2019)"


@dataclass(frozen=True)
class PublishedScore:
    """A macro F1 score as printed.

    Attributes
    ----------
    mean, std : float
        Average and standard deviation over ten trained models.
    """

    mean: float
    std: float

    def __str__(self) -> str:
        return f"{self.mean:.2f} ± {self.std:.2f}"


def _row(*scores: tuple[float, float]) -> dict[tuple[str, str], PublishedScore]:
    columns = (("mlp", "full"), ("cnn", "full"), ("mlp", "pre-edge"), ("cnn", "pre-edge"))
    return {
        column: PublishedScore(*score) for column, score in zip(columns, scores, strict=True)
    }


# Carbone et al. 2019, Table II: element -> (model, region) -> macro F1, stratified folds.
CARBONE_TABLE_II = {
    "Ti": _row((0.83, 0.02), (0.84, 0.02), (0.73, 0.04), (0.78, 0.03)),
    "V": _row((0.86, 0.01), (0.86, 0.02), (0.77, 0.02), (0.79, 0.03)),
    "Cr": _row((0.87, 0.02), (0.87, 0.03), (0.72, 0.04), (0.75, 0.04)),
    "Mn": _row((0.83, 0.02), (0.85, 0.02), (0.62, 0.04), (0.68, 0.03)),
    "Fe": _row((0.85, 0.02), (0.86, 0.03), (0.57, 0.02), (0.63, 0.03)),
    "Co": _row((0.85, 0.03), (0.87, 0.02), (0.59, 0.03), (0.64, 0.03)),
    "Ni": _row((0.87, 0.01), (0.88, 0.03), (0.61, 0.05), (0.66, 0.04)),
    "Cu": _row((0.86, 0.02), (0.86, 0.02), (0.50, 0.04), (0.64, 0.07)),
}

# Carbone et al. 2019, Table I: site-specific spectra in each class.
CARBONE_TABLE_I = {
    "Ti": {"T4": 271, "S5": 359, "O6": 1562},
    "V": {"T4": 948, "S5": 412, "O6": 2006},
    "Cr": {"T4": 396, "S5": 121, "O6": 902},
    "Mn": {"T4": 502, "S5": 657, "O6": 2334},
    "Fe": {"T4": 797, "S5": 319, "O6": 1874},
    "Co": {"T4": 583, "S5": 227, "O6": 1428},
    "Ni": {"T4": 246, "S5": 163, "O6": 1238},
    "Cu": {"T4": 290, "S5": 183, "O6": 366},
}


def macro_f1(element: str, model: str, region: str, edge: str = "K") -> PublishedScore | None:
    """The paper's macro F1, or None where it has no such score.

    Parameters
    ----------
    model : {"mlp", "cnn"}
    region : {"full", "pre-edge"}

    References
    ----------
    Carbone et al., Phys. Rev. Materials 3, 033604 (2019), Table II.
    """
    if edge != "K":
        return None
    return CARBONE_TABLE_II.get(element, {}).get((model, region))


def class_counts(element: str, edge: str = "K") -> dict[str, int] | None:
    """The paper's class counts of an element (its Table I), or None."""
    if edge != "K" or element not in CARBONE_TABLE_I:
        return None
    return dict(CARBONE_TABLE_I[element])


LEDGE_SOURCE = "Lueder (2021), tables 2 and 3: sLCNN-7, 80 epochs, 360,000 spectra an ion"

# Lueder 2021, table 3: ion -> validation MSE, MAE; its test errors are intervals of SE only.
LUEDER_TABLE_3 = {
    "Ti2+": (1.12e-4, 0.0046), "V2+": (1.02e-4, 0.0046), "Cr2+": (9.13e-5, 0.0043),
    "Mn2+": (3.24e-5, 0.0030), "Fe2+": (5.90e-5, 0.0033), "Co2+": (4.62e-5, 0.0029),
    "Ni2+": (1.76e-5, 0.0014), "V3+": (1.40e-4, 0.0038), "Cr3+": (1.10e-4, 0.0050),
    "Mn3+": (9.42e-5, 0.0046), "Fe3+": (8.98e-5, 0.0044), "Co3+": (6.05e-5, 0.0035),
    "Ni3+": (4.69e-5, 0.0030), "Cr4+": (1.65e-4, 0.0064), "Mn4+": (1.39e-4, 0.0061),
    "Fe4+": (1.13e-4, 0.0053), "Co4+": (1.08e-4, 0.0048), "Ni4+": (7.96e-5, 0.0041),
    "Mn5+": (1.98e-4, 0.0073), "Fe5+": (1.46e-4, 0.0065), "Co5+": (1.17e-4, 0.0056),
    "Fe6+": (2.06e-4, 0.0077),
}  # fmt: skip
# Lueder 2021, table 2: training MSE, MAE of the same networks.
LUEDER_TABLE_2 = {
    "Ti2+": (4.60e-5, 0.0034), "V2+": (4.33e-5, 0.0034), "Cr2+": (3.64e-5, 0.0032),
    "Mn2+": (3.23e-5, 0.0030), "Fe2+": (2.34e-5, 0.0025), "Co2+": (2.19e-5, 0.0023),
    "Ni2+": (7.61e-6, 0.0011), "V3+": (4.89e-5, 0.0037), "Cr3+": (3.66e-5, 0.0033),
    "Mn3+": (3.65e-5, 0.0034), "Fe3+": (3.67e-5, 0.0033), "Co3+": (2.09e-5, 0.0025),
    "Ni3+": (2.02e-5, 0.0023), "Cr4+": (5.93e-5, 0.0044), "Mn4+": (5.39e-5, 0.0043),
    "Fe4+": (4.19e-5, 0.0038), "Co4+": (3.831e-5, 0.0034), "Ni4+": (2.87e-5, 0.0029),
    "Mn5+": (6.74e-5, 0.0049), "Fe5+": (5.25e-5, 0.0044), "Co5+": (4.21e-5, 0.0039),
    "Fe6+": (6.95e-5, 0.0051),
}  # fmt: skip
LI_SOURCE = (
    "Li, Lu, Chan, A Deep Learning Model for Atomic Structures Prediction Using X-ray Absorption "
    "Spectroscopic Data (2019)"
)
# Text below Fig. 3: accuracy on the test set, 8,000 examples; Fig. 4: regressor's test MSE.
LI_ACCURACY = 0.987
LI_REGRESSOR_MSE = 0.0035
RANKINE_SOURCE = (
    "Rankine, Penfold, Accurate, Affordable, and Generalisable Machine Learning Simulations of "
    "Transition Metal X-ray Absorption Spectra using the XANESNET Deep Neural Network, J. Chem. "
    "Phys. 156, 164102 (2022)"
)
@dataclass(frozen=True)
class PublishedErrors:
    """Rows of Tables I and II of Rankine and Penfold 2022, 250 sites held out.
    Attributes
    ----------
    median, lower_quartile, upper_quartile : float
        Per cent, as predicted.
    broadened : float
        Median after arctangent broadening, per cent.
    skewness : float
    peak_mean_ev, peak_max_ev : float
        Errors of peak positions.
    """
    median: float
    lower_quartile: float
    upper_quartile: float
    broadened: float
    skewness: float
    peak_mean_ev: float
    peak_max_ev: float
RANKINE_TABLES = {
    "V": PublishedErrors(5.2, 2.9, 8.6, 3.2, 1.625, 0.54, 3.96),
    "Fe": PublishedErrors(4.7, 3.1, 7.2, 3.1, 1.607, 0.83, 3.81),
    "Cu": PublishedErrors(4.0, 2.8, 5.6, 2.7, 2.007, 0.99, 4.60),
}
LUEDER_SOURCE = (
    "Lüder, A machine learning approach to predict L-edge x-ray absorption spectra of light "
    "transition metal ion compounds (dated July 28, 2021)"
)
# Table 3, validation after 80 epochs of sLCNN-7 on 320,000 spectra: MSE, MAE.
LUEDER_NI2_MSE, LUEDER_NI2_MAE = LUEDER_TABLE_3["Ni2+"]
# Text above Fig. 3a: MSE of a deep network and of one of a single layer, 32,000 spectra of Ni2+.
LUEDER_NI2_DNN_32K = (0.016, 4.6e-5)
# Text above Fig. 4, all ions: share of test spectra with SE below 3 % is at least, below 7 %.
LUEDER_SHARE_3, LUEDER_SHARE_7 = 0.88, 0.99
