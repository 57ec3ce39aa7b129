"""How clients speak, without I/O: one folder for each dialect."""
