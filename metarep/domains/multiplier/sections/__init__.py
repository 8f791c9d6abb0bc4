"""Wide layers taken apart into sections of two units."""
