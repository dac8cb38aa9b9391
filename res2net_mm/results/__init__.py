"""Published numbers and what runs measured, side by side."""
