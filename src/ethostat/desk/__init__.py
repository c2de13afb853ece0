"""The desk: where a person labels responses in a terminal.

screen.py   the terminal: keys in, pictures out, given back as it was
page.py     the page: prompt and response wrapped and folded, goals, help
sitting.py  what keys do: `sit` is the one way in
"""

from ethostat.desk.screen import Screen
from ethostat.desk.sitting import sit

__all__ = ["Screen", "sit"]
