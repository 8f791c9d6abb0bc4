"""The four questions of the notes: how much subject material, transfer, what the input looks like, is the task too hard."""
