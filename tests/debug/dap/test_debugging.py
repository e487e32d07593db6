"""A program is debugged through the protocol as an editor does it."""


