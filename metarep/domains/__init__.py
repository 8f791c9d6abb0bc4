"""What is special to one kind of networks: it plugs into the general packages."""
