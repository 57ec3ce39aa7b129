"""How costs grow with what is kept and configured: `python -m tests.bench growth`.

filling.py fills databases and configurations of a size; stores.py and names.py measure at each size; curves.py shows it.
"""
