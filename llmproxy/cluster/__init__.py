"""Several workers.

place.py says where each of them listens, peers.py asks the others. May import conversations and what is
below.
"""
