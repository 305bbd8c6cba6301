"""Build one module file on this machine, in a service that runs for this build alone.

``plan`` reads what is wanted, ``earlier`` knows the results of former runs, ``run`` does it.
"""
