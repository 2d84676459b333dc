"""What the tests share: servers to talk to, runs to copy, pictures and sources to bring in."""
