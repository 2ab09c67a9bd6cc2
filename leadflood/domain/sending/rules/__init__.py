"""The states of a send, and the message as it leaves. Pure."""
