"""HTTP for one run: the verbs of the command line as addresses, for programs on this machine."""
