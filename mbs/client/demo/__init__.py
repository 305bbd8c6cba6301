"""``mbs demo``: the example module built from git repositories into RPMs that dnf installs."""
