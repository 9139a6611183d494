"""Image operators as teachers of networks, and with parameters tuned by gradient descent."""
