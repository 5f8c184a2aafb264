"""Floor 5: the studio, a local page for runs. It reads run folders and starts command-line processes; no torch here."""
