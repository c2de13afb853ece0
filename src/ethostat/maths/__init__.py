"""The statistics: numpy and scipy only, arrays and an rng in, numbers with intervals out; knows no text."""
