"""Control of a running node: what operators see and change."""
