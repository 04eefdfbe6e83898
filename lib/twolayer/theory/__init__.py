"""Theory predicts: closed forms by chapter; no torch, no training, no draw."""

from twolayer import _renamed

__getattr__ = _renamed.names_of(__name__)
