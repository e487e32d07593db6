"""What can be told of a model without training it: receptive fields, saturated units, costs."""
