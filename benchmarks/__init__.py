"""Recipes that make the numbers of elboroom: `python -m benchmarks NAME`, results in `benchmarks/results/NAME.json`."""
