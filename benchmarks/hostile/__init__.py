"""Hostile inputs for every command: made by mutation, run in workers with limits, and judged.

python -m benchmarks.hostile --help
"""
