"""Models: doors to what answers prompts."""
