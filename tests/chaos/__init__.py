"""A production-like deployment with faults while modules build: ``make chaos``.

PostgreSQL, Redis, RabbitMQ, the web server, workers, beat and the consumer are real; Koji is the fake hub of
``tests/buildsys/koji/double`` with additional faults. Modules are submitted over REST while random faults
happen. After the faults, the invariants in ``tests.chaos.checks`` must hold. All servers listen on loopback.
"""
