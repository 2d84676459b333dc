"""Networks as functions of tensors; this room knows no workspace."""
