"""How DermCoT is drafted: the words of its stages, how answers are read, what gives a label away. Pure."""
