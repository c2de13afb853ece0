"""ethostat: what a language model does with what it is asked, and whether that is changing."""

__version__ = "0.1.0"
