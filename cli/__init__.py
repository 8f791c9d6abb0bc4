"""The `metarep` command: a file for commands of one kind; each calls one library function and says where the result lies."""
