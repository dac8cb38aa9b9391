"""Seeing what networks see: predictions on pictures, Grad-CAM, receptive fields."""
