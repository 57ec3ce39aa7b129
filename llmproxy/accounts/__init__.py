"""Keys, limits, budgets and prices.

accounts.py is what the server uses. keys.py, groups.py (accounts), limits.py, rate.py (limits per minute), wallet.py, meter.py,
holding.py, pot.py, bank.py (budgets), ratios.py (bytes per token), prices.py, pricing.py (cost). The cores take the time as `now`
and never wait. May import store, observe, config and core. Begin with accounts.py.
"""
