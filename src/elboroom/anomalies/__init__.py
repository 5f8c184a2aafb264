"""Floor 3: from what a forecast missed to alarms: scores, thresholds, events, shifts; each whole or row by row."""
