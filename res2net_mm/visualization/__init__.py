"""Pictures: of what a model predicts and of what its networks compute."""
