"""Looking at a model's mistakes and acting on them."""
