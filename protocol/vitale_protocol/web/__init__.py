"""The web door: channels of pages, their sealed session, and their pairing."""
