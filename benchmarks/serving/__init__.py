"""The local server, timed: one picture and many, deadlines, and how many replicas a load needs."""
