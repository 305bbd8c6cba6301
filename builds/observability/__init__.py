"""What the service lets operators see of itself: log lines with their context, and figures.

Below everything else in ``builds``: it knows neither services nor views, so that all of them can use it.
"""
