"""Studies: protocol, start, amendments, raters, information sheets."""
