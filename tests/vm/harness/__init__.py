"""The host's side of the guest: what it is made from, how it is started, how it is judged."""
