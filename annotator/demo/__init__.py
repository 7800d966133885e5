"""The demo: drawn lesions, real narratives of the tiny model, and simulated colleagues, labelled so."""
