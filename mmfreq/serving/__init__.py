"""A local page that shows what a network predicts for an image, and the spectra behind it."""
