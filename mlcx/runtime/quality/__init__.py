"""How far a quantized model's predictions are from those of the model as it was."""
