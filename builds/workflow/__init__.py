"""How a module build gets from ``init`` to ``ready``: canvases, steps that park, and sweeps."""
