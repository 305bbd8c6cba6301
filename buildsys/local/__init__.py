"""Build real RPMs with rpmbuild on the service's own machines, in sandboxes of kernel namespaces."""
