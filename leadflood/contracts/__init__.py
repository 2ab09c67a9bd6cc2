"""The language that slices and providers share: structs and Protocols, no behavior."""
