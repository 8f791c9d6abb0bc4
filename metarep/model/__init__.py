"""The cloze model: tokens, windows, masks, the transformer, its objectives and pretraining, for networks of any
architecture.
"""
