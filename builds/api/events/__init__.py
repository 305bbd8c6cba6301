"""Server-sent events of a module build (HTML standard, 9.2): ``module-builds/<id>/events``."""
