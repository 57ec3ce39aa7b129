"""One module for each command of the command line, with a `main` that takes the parsed arguments."""
