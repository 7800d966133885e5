"""The interface's languages: their catalogues of texts and the choice of one."""
