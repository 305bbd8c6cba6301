"""Log lines with their context, and metrics.

This package imports nothing else of ``builds``, so that every layer can use it.
"""
