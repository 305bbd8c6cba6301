"""Build systems behind one Protocol (``buildsys.base``). Nothing here knows Django or the database."""
