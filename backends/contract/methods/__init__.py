"""The settings of each training, one module a method."""
