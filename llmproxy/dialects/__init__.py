"""How clients speak, without I/O: one folder for each dialect, with what it reads and what it writes.

May import wire, config and core; dialects do not import each other. Begin with chat_completions/request.py.
"""
