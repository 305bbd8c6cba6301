"""What changes the database. Every service may be called twice with the same effect as once."""
