"""Find, read and search the logs of components, and divide them into lines and phases."""
