"""Consume bus messages: decode them to typed events, and call a service for each.

Messages may be late, duplicated, out of order or missing. They only cause earlier what sweeps cause anyway.
"""
