"""What steps were made from, what has changed since, and so why they run."""
