"""The `metarep` command: one file a command; each calls one library function and says where the result lies."""
