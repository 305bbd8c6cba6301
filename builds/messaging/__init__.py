"""Bus messages: rows of the outbox, written with the fact they tell and published after commit."""
