"""apCV resolvers behind one small interface."""
