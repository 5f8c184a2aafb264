"""What every server of this package shares: the guard before an application, connections with deadlines, answers."""
