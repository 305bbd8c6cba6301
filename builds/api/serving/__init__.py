"""The part of the service between the web server and Django: deadlines, bounds, and threads for requests.

``connection`` bounds a connection, ``deadlines`` a request and its answer, ``requests`` keeps bodies while
they arrive, ``pages`` runs Django in threads.
"""
