"""One local daemon for every way a patient presents a carte Vitale: the public names of the SDK."""
