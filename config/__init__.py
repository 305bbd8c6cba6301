"""Project glue: the configuration of the service, and Django, Celery and the servers set up by it."""
