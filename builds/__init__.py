"""The Django app: module builds, what changes them and what shows them."""
