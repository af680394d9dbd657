"""What the steps of a build are: verbs, what they read and make, and their facts."""
