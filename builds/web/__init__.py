"""The HTML pages of the service, and its health checks."""
