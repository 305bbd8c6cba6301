"""Bus messages: rows of the outbox, written with the change that they report and published after commit."""
