"""Logs of components: found, read in pieces, divided into lines and phases, and searched."""
