"""What haversack is measured by: one command, peers side by side in one run."""
