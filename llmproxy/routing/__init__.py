"""Resolves a model name to an opener.

router.py (with permits.py, alias_patterns.py and near_names.py), rules.py, model_catalog.py (with offer.py); affinity.py
selects one of several equal targets for a conversation, and beginning.py identifies a conversation. provider_stack.py builds
the openers of a provider, gateway.py those of a configuration. Only these two import upstream and resilience. Begin with
gateway.py.
"""
