"""How each model is built or loaded."""
