"""Source control: scm urls and their allow-list, access to git, inspection of spec files."""
