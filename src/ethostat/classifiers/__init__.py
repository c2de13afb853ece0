"""Classifiers: doors to what sorts responses into goals."""
