"""Server-sent events of a module build (HTML standard, 9.2) at ``module-builds/<id>/events``."""
