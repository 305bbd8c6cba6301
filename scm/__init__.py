"""Source control: scm urls and the allow-list, git access, inspection of spec files."""
