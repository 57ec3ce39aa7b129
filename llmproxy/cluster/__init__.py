"""Several workers, several machines.

Begin with peer.py, the client for one other process, and peers.py, which asks several. place.py: a worker's number and socket.
signature.py: authentication between processes. identity.py: name and ID of a process. discovery.py finds the other machines, at
the addresses from names.py. rates.py and script.py: shared rate limits in Redis. redis_answers.py: shared answer cache.
May import conversations and the packages below. A gateway that runs alone imports nothing from here.
"""
