"""The benchmark: gateways side by side in front of one mock provider, as ratios within one run."""
