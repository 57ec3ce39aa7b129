"""From a model's name to an opener.

router.py, rules.py, model_catalog.py; gateway.py puts the providers' side together. Only gateway.py imports
upstream and resilience. Begin with gateway.py.
"""
