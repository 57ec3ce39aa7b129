"""Who may use what, and what it costs: prices, limits, budgets.

prices.py turns tokens into money. The cores are pure: they take the time as `now`, and wait for nothing. May import
config and core, and what lies between. Begin with prices.py.
"""
