"""Narratives for administrators and researchers: states, versions, the queue. Blind to models."""
