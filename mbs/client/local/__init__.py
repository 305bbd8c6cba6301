"""Build a module file on this machine, in a service that runs for this build only.

``plan`` reads the request, ``earlier_builds`` finds results of earlier builds, ``supply`` takes modules that
were built elsewhere, and ``run`` runs the build.
"""
