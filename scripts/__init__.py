"""What writes generated files anew."""
