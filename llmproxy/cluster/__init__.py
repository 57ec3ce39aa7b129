"""Several workers, several machines.

place.py says where a worker stands among its neighbours, signature.py how one process proves to another that it knows the
secret, identity.py who a process is; peer.py asks one other process, peers.py all of them, discovery.py finds them. May import
conversations and what is below. A gateway that is alone imports nothing of it.
"""
