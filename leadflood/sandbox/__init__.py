"""A pretend world behind real sockets: providers on the documented wire shapes."""
