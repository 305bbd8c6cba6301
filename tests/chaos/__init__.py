"""A production-like deployment that is hurt in many ways while modules build: ``make chaos``.

PostgreSQL, Redis, RabbitMQ, the web server, workers, beat and the consumer are real; Koji is the double of
``tests/koji/double`` with bad days. Modules are submitted over REST while faults happen at random. Then no
more faults happen, and the invariants in ``tests.chaos.checks`` must hold. All of it listens on loopback.
"""
