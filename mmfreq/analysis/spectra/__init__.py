"""What filters have learned and what networks do to the spectra of images."""
