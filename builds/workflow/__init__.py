"""The workflow of a module build from ``init`` to ``ready``: canvases, steps that park, and sweeps."""
