"""Services: the functions that change builds. Calling one twice has the same effect as calling it once."""
