"""Image operators as teachers of networks, and as functions with tunable parameters."""
