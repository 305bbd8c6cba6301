"""The layer between the web server and Django: time limits, size limits and threads.

``connection`` limits a connection and ``deadlines`` an answer. ``requests`` stores bodies while they arrive.
``wsgi`` runs Django in threads.
"""
