"""The use cases of suppressions, opt-ins and unsubscribing."""
