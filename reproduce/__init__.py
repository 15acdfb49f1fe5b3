"""Rebuild every table and figure of the NARM paper (Li et al., CIKM 2017) from click logs."""

from pathlib import Path

__version__ = "0.1.0"

# In a checkout, baselines/ and datasets/ lie beside this package; in a wheel they lie inside it. Their names are
# generic and one is a much-installed package's, so they are only ever imported as reproduce.baselines.x and
# reproduce.datasets.x.
_checkout = Path(__file__).resolve().parent.parent
if (_checkout / "tox.ini").is_file():
    __path__.append(str(_checkout))
