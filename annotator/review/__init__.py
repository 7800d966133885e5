"""The adjudicator's desk: disputed narratives and those that need revision."""
