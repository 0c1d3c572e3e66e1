"""Numbers drawn by chance, to spread in time what would come at once.

Never from the standard library's own generator: a program that has seeded it gets the numbers that it gets
without us.  And children after a fork, to whom every generator's state is copied, draw different ones.
"""

from random import SystemRandom

chance = SystemRandom()
