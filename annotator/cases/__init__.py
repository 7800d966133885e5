"""Pages about cases, and the only door through which their images are handed out."""
