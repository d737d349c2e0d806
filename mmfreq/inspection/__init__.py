"""Looking at data of one's own before a training, and writing the config that trains on them."""
