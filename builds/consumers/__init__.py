"""Messages of the bus become typed events, and these calls of the services that sweeps and people use.

A message is a hint: late, doubled, out of order or missing, it changes nothing that a sweep would not.
"""
