"""From a model's name to an opener.

router.py (with permits.py, alias_patterns.py and near_names.py), rules.py, model_catalog.py (with offer.py);
affinity.py says which of several equals has a conversation, and beginning.py how a conversation is known.
gateway.py puts the providers' side together. Only gateway.py imports upstream and resilience. Begin with gateway.py.
"""
