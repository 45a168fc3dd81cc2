"""Logs, metrics and traces. No Faust and no record may enter; secrets may not leave."""
