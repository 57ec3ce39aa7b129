"""What adapters are written with."""
