"""The typed configuration, and the set-up of Django, Celery and the servers."""
