"""A stand-in for SumUp: a process of its own that speaks the same HTTP, moves no money and breaks on demand.

It is built on the standard library alone and imports nothing of the shop, so that the two share no mistake.
"""
