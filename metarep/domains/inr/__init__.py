"""Sine networks that each hold one signal: a curve or a picture."""
