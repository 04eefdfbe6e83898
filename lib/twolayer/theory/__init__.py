"""Theory predicts: closed forms by chapter; no torch, no training, no draw."""
