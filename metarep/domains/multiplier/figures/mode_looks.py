"""Modes have one colour and one marker each in every figure, so that none says anything by colour alone."""

from metarep.domains.multiplier.domain import MODE_COLOURS as OF_MODES

MODE_COLOURS = OF_MODES | {"random": "#000000"}
"""By mode; "" is a network without one, "random" an untrained initialisation. Any two can be told apart by normal, red-, green-
and blue-blind eyes (CIELAB distance of at least 25; a test holds it)."""

MODE_MARKERS = {"1": "X", "2": "v", "2.5": "s", "3": "o", "4": "D", "": ".", "random": "+"}
