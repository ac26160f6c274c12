"""Planted truth: a synthetic genome, a network whose detectors are known, and the score against them."""
