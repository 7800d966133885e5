"""Datasets as files. Blind: nothing written here names a model or a person."""
